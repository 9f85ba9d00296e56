package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

// fill writes orders of 5 owners and 10 customers, one second apart, a tenth of which are pending and a tenth failed.
const fill = `
INSERT INTO orders (id, owner, customer_id, status, currency, total, lines, shipping_address, placed_at, updated_at)
SELECT 'ord_' || lpad(n::text, 12, '0'), 'owner-' || n % 5, 'cus-' || n / 5 % 10,
	CASE n / 50 % 10 WHEN 0 THEN 'pending' WHEN 1 THEN 'failed' ELSE 'confirmed' END,
	'EUR', 100, '[]', '{}', timestamptz '2026-01-01' + n * interval '1 second', now()
FROM generate_series(1, $1::int) AS n`

func TestEveryListIsServedByAnIndexWithoutASort(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, outbox.Schema, store.Migrations)
	_, err := pool.Exec(t.Context(), fill, 50_000)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "ANALYZE orders")
	require.NoError(t, err)

	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	from, to := start.Add(time.Hour), start.Add(12*time.Hour)
	filters := map[string]store.ListFilter{
		"all":                        {},
		"owner":                      {Owner: "owner-3"},
		"customer":                   {CustomerID: "cus-7"},
		"status":                     {Status: "pending"},
		"common status":              {Status: "confirmed"},
		"owner and customer":         {Owner: "owner-3", CustomerID: "cus-7"},
		"owner and status":           {Owner: "owner-3", Status: "pending"},
		"customer and status":        {CustomerID: "cus-7", Status: "pending"},
		"owner, customer and status": {Owner: "owner-3", CustomerID: "cus-7", Status: "confirmed"},
	}
	for name, f := range filters {
		for _, times := range []string{"", "after", "before", "between", "page"} {
			t.Run(strings.TrimSuffix(name+", "+times, ", "), func(t *testing.T) {
				t.Parallel()
				f := f
				f.Limit = 21
				switch times {
				case "after":
					f.PlacedAfter = &from
				case "before":
					f.PlacedBefore = &to
				case "between":
					f.PlacedAfter, f.PlacedBefore = &from, &to
				case "page":
					f.AfterTime, f.AfterID = to, "ord_000000043200"
				}
				plan := explain(t, pool, f)
				require.NotContains(t, plan, "Seq Scan", plan)
				require.NotContains(t, plan, "Sort", plan)
				require.NotContains(t, plan, "Bitmap", plan)
				require.Contains(t, plan, "Index Scan Backward", plan)
			})
		}
	}
}

func TestEveryOtherQueryIsServedByAnIndex(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, outbox.Schema, store.Migrations)
	_, err := pool.Exec(t.Context(), fill, 20_000)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `INSERT INTO order_events (order_id, seq, type, at, message, event_id)
		SELECT id, 1, 'order.placed', now(), '', 'evt_' || id FROM orders`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `INSERT INTO announcements (order_id, sealed_order, announced_at)
		SELECT id, '', placed_at FROM orders`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "ANALYZE orders, order_events, announcements")
	require.NoError(t, err)
	for _, query := range []string{
		"SELECT * FROM orders WHERE id = 'ord_000000000007'",
		"SELECT * FROM orders WHERE id = 'ord_000000000007' FOR NO KEY UPDATE",
		"SELECT 1 FROM order_events WHERE event_id = 'evt_ord_000000000007'",
		"SELECT * FROM order_events WHERE order_id = 'ord_000000000007' AND seq > 0 ORDER BY seq LIMIT 21",
		`SELECT order_id FROM announcements WHERE announced_at < now() ORDER BY announced_at LIMIT 500
			FOR UPDATE SKIP LOCKED`,
		"SELECT id FROM orders WHERE id = ANY ('{ord_000000000007,ord_000000000008}') AND status <> ALL ('{pending}')",
		`DELETE FROM announcements WHERE order_id = 'ord_000000000007'`,
	} {
		plan := plan(t, pool, query)
		require.Contains(t, plan, "Index", plan)
		require.NotContains(t, plan, "Seq Scan", plan)
		require.NotContains(t, plan, "Sort", plan)
	}
}

func explain(t *testing.T, pool *pgxpool.Pool, f store.ListFilter) string {
	t.Helper()
	query, args := store.ListStatement(f)
	return plan(t, pool, query, args...)
}

func plan(t *testing.T, pool *pgxpool.Pool, query string, args ...any) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "EXPLAIN "+query, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}
