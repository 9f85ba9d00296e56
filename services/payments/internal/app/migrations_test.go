package app_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/postgres/migrationtest"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/app"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestMigrationsSuitARunningSystem(t *testing.T) {
	t.Parallel()
	migrationtest.Run(t, migrationtest.Suite{
		Sets: app.Schemas(app.GatewaySandbox), Seed: seed,
		Folders: []string{"services/payments", "pkg/outbox"},
		Excused: map[string]string{
			"payments/migrations/00002_pending_refunds.sql": "Its index was built while no database held more than a few refunds.",
		},
	})
}

// seed takes money at the second attempt, and gives some of it back.
func seed(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	ctx := caller.With(t.Context(), caller.Caller{Subject: "anna", Scopes: []string{caller.ScopeAll}})
	svc := payment.NewService(payment.Config{
		Pool: pool, Gateway: sandbox.New(pool), Timeout: 5 * time.Second, Margin: time.Second,
	})
	_, err := svc.SetFraudSettings(ctx, []money.Money{money.Of(100_000, "EUR")}, false)
	require.NoError(t, err)
	asked := payments.AuthorizeRequest{
		OrderID: id.New(id.Order), CustomerID: "cus_1", Amount: money.Of(1999, "EUR"), Token: sandbox.TokenProcessingError,
	}
	_, err = svc.Authorize(ctx, asked)
	require.Error(t, err)
	authorized, err := svc.Authorize(ctx, asked)
	require.NoError(t, err)
	_, err = svc.Capture(ctx, payments.CaptureRequest{OrderID: asked.OrderID})
	require.NoError(t, err)
	ctx = idempotency.WithRequest(ctx, idempotency.Request{Caller: "anna", Key: "k", Fingerprint: []byte("k")})
	_, err = svc.Refund(ctx, payment.RefundRequest{PaymentID: authorized.PaymentID, Amount: 999, Reason: "It came broken."})
	require.NoError(t, err)
}
