package app_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/postgres/migrationtest"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/app"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

func TestMigrationsSuitARunningSystem(t *testing.T) {
	t.Parallel()
	migrationtest.Run(t, migrationtest.Suite{
		Sets: app.Schema(), Seed: seed, Folders: []string{"services/shipping", "pkg/outbox", "pkg/idempotency"},
	})
}

// seed books a shipment, and another one at a carrier that is down at first.
func seed(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	timing := shipment.Timing{Call: 5 * time.Second, Poll: time.Millisecond, ByHand: 5 * time.Second}
	guard := carrier.NewGuard(sandbox.New(pool, time.Second), timing.Call, prometheus.NewRegistry())
	svc := shipment.New(pool, guard, timing, func() {}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for _, postalCode := range []string{"10115", "99905"} {
		ctx := idempotency.WithRequest(t.Context(),
			idempotency.Request{Caller: "anna", Key: postalCode, Fingerprint: []byte(postalCode)})
		_, err := svc.BookByHand(ctx, shipping.BookRequest{
			OrderID: id.New(id.Order), FulfilmentID: "1", Warehouse: "berlin",
			Items: []shipping.Item{{SKU: "MUG-1", Quantity: 2}},
			To:    shipping.Address{Name: "Ada", Line1: "Invalidenstr. 116", City: "Berlin", PostalCode: postalCode, Country: "DE"},
		})
		require.NoError(t, err)
	}
}
