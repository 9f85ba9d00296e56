package app_test

import (
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/postgres/migrationtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/app"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

func TestMigrationsSuitARunningSystem(t *testing.T) {
	t.Parallel()
	migrationtest.Run(t, migrationtest.Suite{
		Sets: app.Schemas(), Seed: seed, Folders: []string{"services/orders", "pkg/outbox", "pkg/idempotency"},
	})
}

// seed places an order and asks for another one to be cancelled.
func seed(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	keys, err := seal.ParseKeyring(seal.NewKey("test"))
	require.NoError(t, err)
	board := endings.NewBoard(order.Settled(pool), slog.New(slog.DiscardHandler))
	svc := order.NewService(pool, keys, board, order.NewMetrics(prometheus.NewRegistry()), func() {})
	var placed order.Order
	for _, key := range []string{"first", "second"} {
		ctx := idempotency.WithRequest(t.Context(), idempotency.Request{Caller: "shop", Key: key, Fingerprint: []byte(key)})
		placed, _, err = svc.Place(ctx, orders.Order{
			CustomerID: "cus_1", Currency: "EUR", PaymentToken: "pm_card_visa",
			Lines: []orders.Line{{SKU: "MUG-1", Quantity: 2, UnitPrice: 1250}},
			ShippingAddress: orders.Address{
				Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB",
			},
		})
		require.NoError(t, err)
	}
	_, _, err = svc.Cancel(t.Context(), placed.ID, "ordered twice")
	require.NoError(t, err)
}
