package payments_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
)

const (
	orderID   = "ord_019360c2-0000-7000-8000-000000000001"
	paymentID = "pay_019360c2-0000-7000-8000-000000000002"
)

func TestWireTypesKeepTheirForm(t *testing.T) {
	t.Parallel()
	price := money.Of(1999, "EUR")
	contracttest.Golden(t, "authorize_request",
		payments.AuthorizeRequest{OrderID: orderID, CustomerID: "cus_1", Amount: price, Token: "pm_card_visa"})
	contracttest.Golden(t, "authorization", payments.Authorization{PaymentID: paymentID, Amount: price})
	contracttest.Golden(t, "capture_request", payments.CaptureRequest{OrderID: orderID})
	contracttest.Golden(t, "captured", payments.Captured{PaymentID: paymentID, Amount: price})
	contracttest.Golden(t, "cancel_request", payments.CancelRequest{OrderID: orderID})
	contracttest.Golden(t, "cancellation", payments.Cancellation{PaymentID: paymentID, Outcome: "voided"})
	contracttest.Golden(t, "changed", payments.Changed{
		PaymentID: paymentID, OrderID: orderID, CustomerID: "cus_1", State: "partially_refunded", Amount: price,
		Captured: 1999, Refunded: 500, Code: "payment_declined", Message: "The payment was declined.",
	})
}

func TestNamesOnTheWireKeepTheirForm(t *testing.T) {
	t.Parallel()
	type activity struct {
		Queue, Name  string
		StartToClose time.Duration
		Final        []string
	}
	codes := func(final []*errs.Error) []string {
		var out []string
		for _, e := range final {
			out = append(out, e.Code)
		}
		return out
	}
	contracttest.Golden(t, "activities", []activity{
		{
			payments.Authorize.Queue, payments.Authorize.Name, payments.Authorize.StartToClose,
			codes(payments.Authorize.Final),
		},
		{payments.Capture.Queue, payments.Capture.Name, payments.Capture.StartToClose, codes(payments.Capture.Final)},
		{payments.Cancel.Queue, payments.Cancel.Name, payments.Cancel.StartToClose, codes(payments.Cancel.Final)},
	})
	contracttest.Golden(t, "events", []string{
		payments.EventAuthorized.Type, payments.EventDeclined.Type, payments.EventOutcomeUnknown.Type,
		payments.EventCaptured.Type, payments.EventVoided.Type, payments.EventRefunded.Type,
	})
	failures := map[string]string{}
	for _, e := range []*errs.Error{
		payments.ErrDeclined, payments.ErrInsufficientFunds, payments.ErrFraudSuspected, payments.ErrLimitExceeded,
		payments.ErrMaintenance, payments.ErrProviderUnavailable, payments.ErrOutcomeUnknown, payments.ErrCancelled,
		payments.ErrAmountMismatch, payments.ErrNotAuthorized, payments.ErrCaptureRefused,
	} {
		failures[e.Code] = string(e.Kind)
	}
	contracttest.Golden(t, "failures", failures)
	require.Equal(t, "PAYMENTS", payments.Stream.Name)
	require.Equal(t, []string{"payments.>"}, payments.Stream.Subjects)
}
