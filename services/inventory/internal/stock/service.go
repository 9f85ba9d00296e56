package stock

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/store/db"
)

// Service changes and shows stock and reservations.
type Service struct {
	pool      *pgxpool.Pool
	holdFor   time.Duration
	committed func()
	importing chan struct{}
	metrics   metrics
}

// New returns a Service that holds reserved stock for holdFor. It calls committed after each change, so that the events
// about it can be sent at once.
func New(pool *pgxpool.Pool, holdFor time.Duration, committed func(), reg prometheus.Registerer) *Service {
	return &Service{
		pool: pool, holdFor: holdFor, committed: committed,
		importing: make(chan struct{}, maxImports), metrics: newMetrics(reg),
	}
}

func (s *Service) inTx(ctx context.Context, fn func(tx pgx.Tx, q *db.Queries) error) error {
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error { return fn(tx, db.New(tx)) })
	if err != nil {
		return err
	}
	s.committed()
	return nil
}

// publish writes an event about a reservation into the transaction that changes it.
func publish(
	ctx context.Context, tx pgx.Tx, event contract.Event[inventory.ReservationChanged],
	row db.Reservation, fulfilments []inventory.Fulfilment,
) error {
	ev, err := event.New(row.OrderID, row.UpdatedAt, inventory.ReservationChanged{
		ReservationID: row.ID, OrderID: row.OrderID, State: row.State, Fulfilments: fulfilments,
	})
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, ev)
}

// askedFor returns the lines as the order asked for them.
func askedFor(row db.Reservation) ([]inventory.Line, error) {
	var lines []inventory.Line
	if err := json.Unmarshal(row.Lines, &lines); err != nil {
		return nil, fmt.Errorf("lines of %s: %w", row.ID, err)
	}
	return lines, nil
}

// fulfilmentsOf puts the rows of one reservation, in order of fulfilment, together again as Allocate had them.
func fulfilmentsOf(asked []inventory.Line, rows []db.ReservationLine) []inventory.Fulfilment {
	position := func(l inventory.Line) int {
		return slices.IndexFunc(asked, func(a inventory.Line) bool { return a.SKU == l.SKU })
	}
	fulfilments := []inventory.Fulfilment{}
	for _, r := range rows {
		id := strconv.Itoa(int(r.Fulfilment))
		if n := len(fulfilments); n == 0 || fulfilments[n-1].ID != id {
			fulfilments = append(fulfilments, inventory.Fulfilment{ID: id, Warehouse: r.Warehouse})
		}
		f := &fulfilments[len(fulfilments)-1]
		f.Lines = append(f.Lines, inventory.Line{SKU: r.SKU, Quantity: r.Quantity})
	}
	for _, f := range fulfilments {
		slices.SortFunc(f.Lines, func(a, b inventory.Line) int { return position(a) - position(b) })
	}
	return fulfilments
}

// loadFulfilments returns what was asked for and where it comes from.
func loadFulfilments(
	ctx context.Context, q *db.Queries, row db.Reservation,
) ([]inventory.Line, []inventory.Fulfilment, error) {
	asked, err := askedFor(row)
	if err != nil {
		return nil, nil, err
	}
	rows, err := q.ReservationLines(ctx, []string{row.ID})
	if err != nil {
		return nil, nil, err
	}
	return asked, fulfilmentsOf(asked, rows), nil
}

func lineField(i int, suffix, code, message string, args ...any) errs.Field {
	return errs.Field{
		Pointer: fmt.Sprintf("/lines/%d%s", i, suffix), Code: code, Message: fmt.Sprintf(message, args...),
	}
}
