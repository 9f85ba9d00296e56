package app_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/postgres/migrationtest"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/app"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

func TestMigrationsSuitARunningSystem(t *testing.T) {
	t.Parallel()
	migrationtest.Run(t, migrationtest.Suite{
		Sets: app.Schema(), Seed: seed, Folders: []string{"services/inventory", "pkg/outbox", "pkg/idempotency"},
	})
}

// seed holds some of the stock for an order.
func seed(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	svc := stock.New(pool, time.Hour, func() {}, prometheus.NewRegistry())
	_, err := svc.PutWarehouse(t.Context(), "berlin", 1)
	require.NoError(t, err)
	ctx := idempotency.WithRequest(t.Context(), idempotency.Request{Caller: "anna", Key: "k", Fingerprint: []byte("k")})
	_, err = svc.SetOnHand(ctx, "MUG-1", "berlin", 5, "")
	require.NoError(t, err)
	_, err = svc.Reserve(t.Context(), inventory.ReserveRequest{
		OrderID: id.New(id.Order), Lines: []inventory.Line{{SKU: "MUG-1", Quantity: 2}},
	})
	require.NoError(t, err)
}
