package activities_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/activities"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

func TestSagasEndOrdersThroughTheContract(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	keys, err := seal.ParseKeyring(seal.NewKey("test"))
	require.NoError(t, err)
	board := endings.NewBoard(order.Settled(pool), slog.New(slog.DiscardHandler))
	service := order.NewService(pool, keys, board, order.NewMetrics(prometheus.NewRegistry()), func() {})
	ctx := caller.With(t.Context(), caller.Caller{Subject: "shop"})

	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	activities.Register(env, service)

	place := func() string {
		o, _, err := service.Place(ctx, orders.Order{
			CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok",
			Lines: []orders.Line{{SKU: "MUG-1", Quantity: 1, UnitPrice: 100}},
			ShippingAddress: orders.Address{
				Name: "Ada", Line1: "Square 12", City: "London", PostalCode: "SW1Y 4JH", Country: "GB",
			},
		})
		require.NoError(t, err)
		return o.ID
	}
	status := func(orderID string) order.Status {
		o, err := service.Get(ctx, orderID)
		require.NoError(t, err)
		return o.Status
	}
	confirmed, failed := place(), place()
	for range 2 {
		_, err = env.ExecuteActivity(orders.Confirm.Name, orders.ConfirmRequest{OrderID: confirmed})
		require.NoError(t, err)
		require.Equal(t, order.Confirmed, status(confirmed))
	}
	_, err = env.ExecuteActivity(orders.Park.Name, orders.ParkRequest{OrderID: failed, Code: "x", Message: "X."})
	require.NoError(t, err)
	require.Equal(t, order.NeedsAttention, status(failed))
	_, err = env.ExecuteActivity(orders.Close.Name, orders.CloseRequest{
		OrderID: failed, Outcome: orders.Failed, Code: "out_of_stock", Message: "Out of stock.",
	})
	require.NoError(t, err)
	require.Equal(t, order.Failed, status(failed))

	_, err = env.ExecuteActivity(orders.Close.Name, orders.CloseRequest{OrderID: confirmed, Outcome: orders.Cancelled})
	var failure *temporal.ApplicationError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, orders.ErrIllegalTransition.Code, failure.Type())
	require.True(t, failure.NonRetryable())
	_, err = env.ExecuteActivity(orders.Confirm.Name, orders.ConfirmRequest{
		OrderID: "ord_019360c2-0000-7000-8000-000000000000",
	})
	require.ErrorAs(t, err, &failure)
	require.Equal(t, orders.ErrOrderNotFound.Code, failure.Type())
}
