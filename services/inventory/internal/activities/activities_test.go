package activities_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/activities"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// setup returns how a worker runs the activities, with ten mugs on hand.
func setup(t *testing.T) *testsuite.TestActivityEnvironment {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	svc := stock.New(pool, time.Hour, func() {}, prometheus.NewRegistry())
	_, err := svc.Import(t.Context(), strings.NewReader("sku,warehouse,on_hand\nMUG,BER,10\n"))
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	activities.Register(env, svc)
	return env
}

func TestActivitiesRunUnderTheirNames(t *testing.T) {
	t.Parallel()
	env, order := setup(t), id.New(id.Order)

	value, err := env.ExecuteActivity(inventory.Reserve.Name, inventory.ReserveRequest{
		OrderID: order, Lines: []inventory.Line{{SKU: "MUG", Quantity: 3}},
	})
	require.NoError(t, err)
	var held inventory.Reservation
	require.NoError(t, value.Get(&held))
	require.Equal(t, "BER", held.Fulfilments[0].Warehouse)
	_, err = env.ExecuteActivity(inventory.Commit.Name, inventory.CommitRequest{OrderID: order})
	require.NoError(t, err)
	_, err = env.ExecuteActivity(inventory.Release.Name, inventory.ReleaseRequest{OrderID: id.New(id.Order)})
	require.NoError(t, err)
}

func TestFailuresTravelAsTheContractSays(t *testing.T) {
	t.Parallel()
	env, released := setup(t), id.New(id.Order)
	_, err := env.ExecuteActivity(inventory.Release.Name, inventory.ReleaseRequest{OrderID: released})
	require.NoError(t, err)
	reserve := func(order, sku string, quantity int64) error {
		_, err := env.ExecuteActivity(inventory.Reserve.Name, inventory.ReserveRequest{
			OrderID: order, Lines: []inventory.Line{{SKU: sku, Quantity: quantity}},
		})
		return err
	}
	for want, err := range map[string]error{
		inventory.ErrOutOfStock.Code:         reserve(id.New(id.Order), "MUG", 11),
		inventory.ErrUnknownSKU.Code:         reserve(id.New(id.Order), "NIL", 1),
		inventory.ErrReleased.Code:           reserve(released, "MUG", 1),
		inventory.ErrInvalidReservation.Code: reserve(id.New(id.Order), "MUG", 0),
	} {
		failure, ok := errors.AsType[*temporal.ApplicationError](err)
		require.True(t, ok, want)
		require.Equal(t, want, failure.Type())
		require.True(t, failure.NonRetryable(), want)
	}
}
