package payment_test

import (
	"strings"
	"testing"

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
		rows, err := b.pool.Query(t.Context(), `EXPLAIN SELECT * FROM payments WHERE `+where+`
			AND (created_at, id) < (now() - interval '1 hour', 'pay_1') ORDER BY created_at DESC, id DESC LIMIT 21`)
		require.NoError(t, err)
		var plan strings.Builder
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan.WriteString(line + "\n")
		}
		require.NoError(t, rows.Err())
		require.Contains(t, plan.String(), "Index Scan", where)
		require.NotContains(t, plan.String(), "Sort", where)
		require.NotContains(t, plan.String(), "Seq Scan", where)
	}
}
