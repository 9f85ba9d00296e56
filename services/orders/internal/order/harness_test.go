package order_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

type bundle struct {
	*order.Service
	pool *pgxpool.Pool
	keys seal.Keyring
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	keys, err := seal.ParseKeyring(seal.NewKey("test"))
	require.NoError(t, err)
	return bundle{Service: replica(t, pool, keys), pool: pool, keys: keys}
}

// replica returns a service as another process would run it on the same database.
func replica(t *testing.T, pool *pgxpool.Pool, keys seal.Keyring) *order.Service {
	t.Helper()
	board := endings.NewBoard(order.Settled(pool), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- board.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-stopped)
	})
	return order.NewService(pool, keys, board, order.NewMetrics(prometheus.NewRegistry()), func() {})
}

func as(ctx context.Context, subject string, scopes ...string) context.Context {
	return caller.With(ctx, caller.Caller{Subject: subject, Scopes: scopes})
}

func keyed(ctx context.Context, key, body string) context.Context {
	return idempotency.WithRequest(ctx, idempotency.Request{
		Caller: caller.From(ctx).Subject, Key: key, Fingerprint: []byte(body),
	})
}

func mugs() orders.Order {
	return orders.Order{
		CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok_secret",
		Lines: []orders.Line{{SKU: "MUG-1", Quantity: 2, UnitPrice: 1250}},
		ShippingAddress: orders.Address{
			Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB",
		},
	}
}

func (b bundle) place(ctx context.Context, t *testing.T) order.Order {
	t.Helper()
	o, _, err := b.Place(ctx, mugs())
	require.NoError(t, err)
	return o
}

func (b bundle) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, b.pool.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// published returns the types of the events about an order, oldest first.
func (b bundle) published(t *testing.T, orderID string) []string {
	t.Helper()
	rows, err := b.pool.Query(t.Context(),
		`SELECT subject FROM outbox WHERE convert_from(payload, 'UTF8')::jsonb ->> 'subject' = $1 ORDER BY seq`, orderID)
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

// told returns the types of the entries of an order's timeline.
func (b bundle) told(ctx context.Context, t *testing.T, orderID string) []string {
	t.Helper()
	timeline, err := b.Timeline(ctx, orderID, "", 100)
	require.NoError(t, err)
	var types []string
	for i, e := range timeline.Entries {
		require.Equal(t, int64(i+1), e.Seq, "entries are numbered without a gap")
		require.NotEmpty(t, e.Message)
		types = append(types, e.Type)
	}
	return types
}

const patience = 10 * time.Second
