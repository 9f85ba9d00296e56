package order

import (
	"context"
	"strconv"
	"time"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// Observation is what another service did for an order.
type Observation struct {
	OrderID string
	// EventID identifies what is told. The same event is told once, however often it is observed.
	EventID string
	// Type is such as "payment.authorized".
	Type string
	At   time.Time
	// Code says why, where something went wrong.
	Code string
	// Message is made for customers.
	Message string
	// Data holds a few facts that a customer may see.
	Data map[string]any
	// Payment and Fulfilment are what is known now; empty where the observation says nothing about them.
	Payment    PaymentStatus
	Fulfilment FulfilmentStatus
}

// Observe adds an observation to the order's timeline and carries its statuses forward. It reports whether anything was
// added: not for an event that is there already, nor for an order that does not exist.
func (s *Service) Observe(ctx context.Context, o Observation) (added bool, err error) {
	added, err = addEntry(ctx, s.pool, o)
	if postgres.IsUnique(err) { // The same event was delivered twice at the same time.
		return false, nil
	}
	return added, postgres.Interpret(err)
}

func addEntry(ctx context.Context, conn db.DBTX, o Observation) (bool, error) {
	data, err := facts(o.Data)
	if err != nil {
		return false, err
	}
	var eventID *string
	if o.EventID != "" {
		eventID = &o.EventID
	}
	n, err := db.New(conn).AddEntry(ctx, db.AddEntryParams{
		OrderID: o.OrderID, EventID: eventID, Type: o.Type, At: o.At, Code: o.Code, Message: o.Message, Data: data,
		PaymentStatus: string(o.Payment), PaymentAfter: before(paymentProgress, o.Payment),
		FulfilmentStatus: string(o.Fulfilment), FulfilmentAfter: before(fulfilmentProgress, o.Fulfilment),
		Now: clock(),
	})
	return n > 0, err
}

// Timeline is one page of what happened to an order.
type Timeline struct {
	Entries []Entry
	// Next is the cursor of the next page; empty on the last one.
	Next string
}

// Timeline returns what happened to an order that the caller in ctx may see, oldest first. It returns
// orders.ErrOrderNotFound or, for a bad cursor, a failure of package page.
func (s *Service) Timeline(ctx context.Context, orderID, cursor string, limit int) (Timeline, error) {
	filter := "timeline:" + orderID
	after, err := timelinePosition(cursor, filter)
	if err != nil {
		return Timeline{}, err
	}
	if _, err := s.Get(ctx, orderID); err != nil {
		return Timeline{}, err
	}
	rows, err := db.New(s.pool).ListEntries(ctx, db.ListEntriesParams{
		OrderID: orderID, After: after, Max: int32(limit) + 1, //nolint:gosec // The limit is at most page.MaxLimit.
	})
	if err != nil {
		return Timeline{}, postgres.Interpret(err)
	}
	var t Timeline
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		t.Next = page.Encode(page.Position{Time: last.At, ID: strconv.FormatInt(last.Seq, 10)}, filter)
	}
	t.Entries = make([]Entry, len(rows))
	for i, row := range rows {
		t.Entries[i] = entryFromRow(row)
	}
	return t, nil
}

func timelinePosition(cursor, filter string) (seq int64, err error) {
	if cursor == "" {
		return 0, nil
	}
	pos, err := page.Decode(cursor, filter, time.Now())
	if err != nil {
		return 0, err
	}
	if seq, err = strconv.ParseInt(pos.ID, 10, 64); err != nil {
		return 0, page.ErrMalformed.WithCause(err)
	}
	return seq, nil
}
