package order

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// AnnounceAgain publishes the events once more that set the saga to work on an order (that it was placed, that it is to
// be cancelled), of orders that are pending or cancelling and were not announced for as long as silence. Whoever should
// have acted on them may have lost them with its disk. Where nothing is lost it does no harm: the events are the same,
// and there is one saga per order.
//
// It returns the ids of those orders, oldest first. They are a few hundred at most, the longest silent ones: when the
// cause is an outage that lasts, more would only fill the stream.
func (s *Service) AnnounceAgain(ctx context.Context, silence time.Duration) (announced []string, err error) {
	err = postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		announced = nil
		now := clock()
		rows, err := db.New(tx).ClaimSilent(ctx, db.ClaimSilentParams{
			Before: now.Add(-silence), Now: now, Types: []string{EntryPlaced, EntryCancelRequested},
		})
		if err != nil {
			return err
		}
		events := make([]cloudevents.Event, len(rows))
		for i, row := range rows {
			if events[i], err = announcement(row); err != nil {
				return err
			}
			announced = append(announced, row.OrderID)
		}
		announced = slices.Compact(announced)
		return outbox.Republish(ctx, tx, events...)
	})
	if err != nil {
		return nil, err
	}
	if len(announced) > 0 {
		s.published()
		s.metrics.announcedAgain.Add(float64(len(announced)))
	}
	return announced, nil
}

// announcement returns an event as it was published before.
func announcement(row db.ClaimSilentRow) (event cloudevents.Event, err error) {
	at := row.At.UTC()
	if row.Type == EntryPlaced {
		event, err = placedEvent(row.OrderID, at, row.SealedOrder)
	} else {
		asked := orders.CancelRequested{OrderID: row.OrderID}
		// The entry's facts are the event's other fields, under the same names.
		if err := json.Unmarshal(row.Data, &asked); err != nil {
			return event, fmt.Errorf("order: entry of %s: %w", row.OrderID, err)
		}
		event, err = orders.EventCancelRequested.New(row.OrderID, at, asked)
	}
	if err != nil {
		return event, err
	}
	event.SetID(row.EventID)
	return event, nil
}
