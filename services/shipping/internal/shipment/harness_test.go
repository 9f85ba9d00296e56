package shipment_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
	"github.com/orderflow/orderflow/services/shipping/internal/store"
)

const (
	fulfilment = "1"
	ordinary   = "10115"
)

// line is the telephone line to the carrier: a test may listen, hold it up or cut it.
type line struct {
	shipment.Carrier
	submits atomic.Int64
	// Each wraps one call, if it is set.
	submit func(ctx context.Context, next func(context.Context) (string, error)) (string, error)
	status func(ctx context.Context, next func() (shipment.Status, error)) (shipment.Status, error)
	cancel func(ctx context.Context, next func() error) error
	find   func(ctx context.Context, next func() (string, bool, error)) (string, bool, error)
}

func (l *line) Submit(ctx context.Context, key string, p shipment.Parcel) (string, error) {
	l.submits.Add(1)
	next := func(ctx context.Context) (string, error) { return l.Carrier.Submit(ctx, key, p) }
	if l.submit == nil {
		return next(ctx)
	}
	return l.submit(ctx, next)
}

func (l *line) Status(ctx context.Context, ticket string) (shipment.Status, error) {
	next := func() (shipment.Status, error) { return l.Carrier.Status(ctx, ticket) }
	if l.status == nil {
		return next()
	}
	return l.status(ctx, next)
}

func (l *line) Cancel(ctx context.Context, ticket string) error {
	next := func() error { return l.Carrier.Cancel(ctx, ticket) }
	if l.cancel == nil {
		return next()
	}
	return l.cancel(ctx, next)
}

func (l *line) Find(ctx context.Context, key string) (string, bool, error) {
	next := func() (string, bool, error) { return l.Carrier.Find(ctx, key) }
	if l.find == nil {
		return next()
	}
	return l.find(ctx, next)
}

type bundle struct {
	*shipment.Service
	pool  *pgxpool.Pool
	books *sandbox.Carrier
	line  *line
}

type option func(*settings)

type settings struct {
	timing shipment.Timing
	slow   time.Duration
}

// impatient makes calls of the carrier time out soon.
func impatient(s *settings) { s.timing.Call = 250 * time.Millisecond }

func setup(t *testing.T, options ...option) bundle {
	t.Helper()
	cfg := settings{
		timing: shipment.Timing{Call: 5 * time.Second, Poll: 10 * time.Millisecond, ByHand: 5 * time.Second},
		slow:   300 * time.Millisecond,
	}
	for _, o := range options {
		o(&cfg)
	}
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations, sandbox.Schema)
	books := sandbox.New(pool, cfg.slow)
	l := &line{Carrier: books}
	guard := carrier.NewGuard(l, cfg.timing.Call, prometheus.NewRegistry())
	svc := shipment.New(pool, guard, cfg.timing, func() {}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	return bundle{Service: svc, pool: pool, books: books, line: l}
}

func request(postalCode string) shipping.BookRequest {
	return shipping.BookRequest{
		OrderID: id.New(id.Order), FulfilmentID: fulfilment, Warehouse: "berlin",
		Items: []shipping.Item{{SKU: "TEA-1", Quantity: 2}, {SKU: "CUP-9", Quantity: 1}},
		To: shipping.Address{
			Name: "Ada Lovelace", Line1: "Invalidenstr. 1", City: "Berlin", PostalCode: postalCode, Country: "DE",
		},
	}
}

func cancelOf(req shipping.BookRequest) shipping.CancelRequest {
	return shipping.CancelRequest{OrderID: req.OrderID, FulfilmentIDs: []string{req.FulfilmentID}}
}

func (b bundle) book(t *testing.T, req shipping.BookRequest) (shipping.Booking, error) {
	t.Helper()
	return b.Book(t.Context(), req, shipment.Progress{})
}

// bookInBackground returns how the booking ended.
func (b bundle) bookInBackground(ctx context.Context, req shipping.BookRequest, p shipment.Progress) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := b.Book(ctx, req, p)
		done <- err
	}()
	return done
}

// cancelUntilDone is what a saga does: it tries again until the carrier has been asked for certain.
func (b bundle) cancelUntilDone(t *testing.T, req shipping.BookRequest) {
	t.Helper()
	require.Eventually(t, func() bool {
		return b.Cancel(context.WithoutCancel(t.Context()), cancelOf(req)) == nil
	}, 20*time.Second, 10*time.Millisecond)
}

// shipments returns our books about an order.
func (b bundle) shipments(t *testing.T, orderID string) []shipment.Shipment {
	t.Helper()
	list, err := b.List(context.WithoutCancel(t.Context()), shipment.Filter{OrderID: orderID}, page.Position{}, 100)
	require.NoError(t, err)
	return list
}

func (b bundle) only(t *testing.T, req shipping.BookRequest) shipment.Shipment {
	t.Helper()
	list := b.shipments(t, req.OrderID)
	require.Len(t, list, 1)
	return list[0]
}

// live counts the parcels of an order that the carrier is going to fetch, by the carrier's books.
func (b bundle) live(t *testing.T, orderID string) int {
	t.Helper()
	list, err := b.books.Bookings(context.WithoutCancel(t.Context()), orderID)
	require.NoError(t, err)
	n := 0
	for _, booking := range list {
		if booking.Live() {
			n++
		}
	}
	return n
}

// events returns the types of the events about an order, oldest first.
func (b bundle) events(t *testing.T, orderID string) []string {
	t.Helper()
	rows, err := b.pool.Query(t.Context(),
		`select subject from outbox where convert_from(payload, 'UTF8')::jsonb ->> 'subject' = $1 order by seq`, orderID)
	require.NoError(t, err)
	defer rows.Close()
	var types []string
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		types = append(types, s)
	}
	require.NoError(t, rows.Err())
	return types
}

func (b bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	tag, err := b.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.NotZero(t, tag.RowsAffected(), "no row: %s", sql)
}
