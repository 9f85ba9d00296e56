package payments_test

import (
	"testing"

	"github.com/orderflow/orderflow/pkg/contract/contracttest"
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
	contracttest.Contract(t,
		contracttest.Stream(payments.Stream),
		contracttest.Activity(payments.Authorize),
		contracttest.Activity(payments.Capture),
		contracttest.Activity(payments.Cancel),
		contracttest.Event(payments.EventAuthorized),
		contracttest.Event(payments.EventDeclined),
		contracttest.Event(payments.EventOutcomeUnknown),
		contracttest.Event(payments.EventCaptured),
		contracttest.Event(payments.EventVoided),
		contracttest.Event(payments.EventRefunded),
		contracttest.Failures(
			payments.ErrDeclined, payments.ErrInsufficientFunds, payments.ErrFraudSuspected, payments.ErrLimitExceeded,
			payments.ErrMaintenance, payments.ErrProviderUnavailable, payments.ErrOutcomeUnknown, payments.ErrCancelled,
			payments.ErrAmountMismatch, payments.ErrNotAuthorized, payments.ErrCaptureRefused,
		),
	)
}
