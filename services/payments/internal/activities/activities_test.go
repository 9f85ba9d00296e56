package activities_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/activities"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
	"github.com/orderflow/orderflow/services/payments/internal/store"
)

func setup(t *testing.T) *testsuite.TestActivityEnvironment {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, store.Migrations, sandbox.Migrations)
	svc := payment.NewService(payment.Config{
		Pool: pool, Gateway: sandbox.New(pool), Timeout: 2 * time.Second, Margin: 10 * time.Second,
	})
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	activities.Register(env, svc)
	return env
}

func request(token string) payments.AuthorizeRequest {
	return payments.AuthorizeRequest{
		OrderID: id.New(id.Order), CustomerID: "cus_1", Amount: money.Of(1999, "EUR"), Token: token,
	}
}

func TestActivitiesRunUnderTheirNames(t *testing.T) {
	t.Parallel()
	env, req := setup(t), request(sandbox.TokenVisa)
	run := func(name string, req, res any) {
		t.Helper()
		value, err := env.ExecuteActivity(name, req)
		require.NoError(t, err)
		require.NoError(t, value.Get(res))
	}
	var held payments.Authorization
	run(payments.Authorize.Name, req, &held)
	require.Equal(t, req.Amount, held.Amount)
	var taken payments.Captured
	run(payments.Capture.Name, payments.CaptureRequest{OrderID: req.OrderID}, &taken)
	require.Equal(t, held.PaymentID, taken.PaymentID)
	var undone payments.Cancellation
	run(payments.Cancel.Name, payments.CancelRequest{OrderID: req.OrderID}, &undone)
	require.Equal(t, payments.Cancellation{PaymentID: held.PaymentID, Outcome: "refunded"}, undone)
}

func TestFailuresTravelAsTheContractSays(t *testing.T) {
	t.Parallel()
	env := setup(t)
	authorize := func(token string) error {
		_, err := env.ExecuteActivity(payments.Authorize.Name, request(token))
		return err
	}
	_, notAuthorized := env.ExecuteActivity(payments.Capture.Name, payments.CaptureRequest{OrderID: id.New(id.Order)})
	for _, c := range []struct {
		code  string
		final bool
		err   error
	}{
		{payments.ErrDeclined.Code, true, authorize(sandbox.TokenDeclined)},
		{payments.ErrInsufficientFunds.Code, true, authorize(sandbox.TokenInsufficientFunds)},
		{payments.ErrFraudSuspected.Code, true, authorize(sandbox.TokenFraudulent)},
		{payments.ErrNotAuthorized.Code, true, notAuthorized},
		{payments.ErrProviderUnavailable.Code, false, authorize(sandbox.TokenProcessingError)},
		{payments.ErrOutcomeUnknown.Code, false, authorize(sandbox.TokenTimeout)},
	} {
		failure, ok := errors.AsType[*temporal.ApplicationError](c.err)
		require.True(t, ok, c.code)
		require.Equal(t, c.code, failure.Type())
		require.Equal(t, c.final, failure.NonRetryable(), c.code)
	}
}
