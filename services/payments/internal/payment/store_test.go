package payment_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
)

func TestTheTokenIsNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.order(sandbox.TokenMastercard).captured()
	var kept string
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT concat_ws(' ', (SELECT string_agg(p::text, ' ') FROM payments p),
		(SELECT string_agg(convert_from(payload, 'UTF8'), ' ') FROM outbox))`).Scan(&kept))
	require.NotContains(t, kept, sandbox.TokenMastercard)
}

// The queries of the lists, as the planner sees them on a table that has grown.
func TestListsNeitherSortNorReadTheWholeTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.pool.Exec(t.Context(), `
		INSERT INTO payments (id, order_id, customer_id, state, amount, currency, created_at, updated_at)
		SELECT 'pay_' || i, 'ord_' || i, 'cus_' || i % 100, CASE i % 50 WHEN 0 THEN 'unknown' ELSE 'authorized' END, 1,
			'EUR', now() - i * interval '1 s', now()
		FROM generate_series(1, 20000) i`)
	require.NoError(t, err)
	_, err = b.pool.Exec(t.Context(), `ANALYZE payments`)
	require.NoError(t, err)
	for _, where := range []string{"true", "customer_id = 'cus_7'", "state = 'unknown'"} {
		plan := b.plan(`SELECT * FROM payments WHERE ` + where + `
			AND (created_at, id) < (now() - interval '1 hour', 'pay_1') ORDER BY created_at DESC, id DESC LIMIT 21`)
		require.Contains(t, plan, "Index Scan", where)
		require.NotContains(t, plan, "Sort", where)
		require.NotContains(t, plan, "Seq Scan", where)
	}
}

func TestLookingForIdleRefundsReadsOnlyPendingOnes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).captured()
	_, err := b.pool.Exec(t.Context(), `
		INSERT INTO refunds (id, payment_id, origin, requested_by, idempotency_key, fingerprint, amount, reason, state,
			created_at, updated_at)
		SELECT 'ref_' || i, $1, 'http', 'anna', i::text, '', 1, 'r', CASE i % 1000 WHEN 0 THEN 'pending' ELSE 'succeeded' END,
			now(), now() - i * interval '1 s'
		FROM generate_series(1, 20000) i`, o.row().ID)
	require.NoError(t, err)
	_, err = b.pool.Exec(t.Context(), `ANALYZE refunds`)
	require.NoError(t, err)
	require.Contains(t, b.plan(`SELECT id, payment_id FROM refunds
		WHERE state = 'pending' AND updated_at <= now() ORDER BY updated_at LIMIT 100`), "refunds_pending")
}

// plan is how PostgreSQL goes about a query.
func (b *bundle) plan(query string) string {
	b.t.Helper()
	rows, err := b.pool.Query(b.t.Context(), "EXPLAIN "+query)
	require.NoError(b.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b.t, err)
	return strings.Join(lines, "\n")
}
