package payment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestAnOrderIsAuthorizedAndCapturedOnce(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa)

	first, err := o.authorize()
	require.NoError(t, err)
	again, err := o.authorize()
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, o.amount, first.Amount)
	o.requireState(payment.Authorized)

	taken, err := o.capture()
	require.NoError(t, err)
	require.Equal(t, payments.Captured{PaymentID: first.PaymentID, Amount: o.amount}, taken)
	again2, err := o.capture()
	require.NoError(t, err)
	require.Equal(t, taken, again2)

	require.Equal(t, 1, o.network.called("authorize"))
	require.Equal(t, 1, o.network.called("capture"))
	require.Equal(t, int64(1999), o.charge().Captured)
	require.Equal(t, []string{payments.EventAuthorized.Type, payments.EventCaptured.Type}, o.events())
}
