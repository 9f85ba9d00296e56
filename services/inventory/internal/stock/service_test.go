package stock_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// bundle is a service on a database of its own.
type bundle struct {
	*stock.Service
	t    *testing.T
	pool *pgxpool.Pool
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	return bundle{stock.New(pool, time.Hour, func() {}, prometheus.NewRegistry()), t, pool}
}

// stock sets what is on hand, each as "SKU WAREHOUSE QUANTITY".
func (b bundle) stock(rows ...string) {
	b.t.Helper()
	csv := "sku,warehouse,on_hand\n"
	for _, r := range rows {
		csv += strings.ReplaceAll(r, " ", ",") + "\n"
	}
	_, err := b.Import(b.t.Context(), strings.NewReader(csv))
	require.NoError(b.t, err)
}

// row returns what is on hand and reserved.
func (b bundle) row(sku, warehouse string) (onHand, reserved int64) {
	b.t.Helper()
	items, err := b.List(b.t.Context(), stock.Filter{SKU: sku, Warehouse: warehouse}, stock.Item{}, 1)
	require.NoError(b.t, err)
	require.Len(b.t, items, 1)
	return items[0].OnHand, items[0].Reserved
}

func lines(of ...inventory.Line) []inventory.Line { return of }

func TestReserveCommitAndRelease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.stock("MUG BER 10", "PEN BER 5")
	order := id.New(id.Order)
	req := inventory.ReserveRequest{OrderID: order, Lines: lines(inventory.Line{SKU: "PEN", Quantity: 2}, inventory.Line{SKU: "MUG", Quantity: 3})}
	r, err := b.Reserve(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, []inventory.Fulfilment{{ID: "1", Warehouse: "BER", Lines: req.Lines}}, r.Fulfilments)
	again, err := b.Reserve(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, r, again)
	_, err = b.Commit(t.Context(), inventory.CommitRequest{OrderID: order})
	require.NoError(t, err)
	onHand, reserved := b.row("MUG", "BER")
	require.Equal(t, []int64{7, 0}, []int64{onHand, reserved})
}
