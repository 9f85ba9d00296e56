// Package payments is the public contract of the payments service: the activities it offers to a saga, the events it
// publishes and the ways it can fail.
package payments

import (
	"time"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
)

// TaskQueue is polled by the workers of the payments service.
const TaskQueue = "payments"

// Stream holds the events of the payments service.
var Stream = contract.Stream{Name: "PAYMENTS", Subjects: []string{"payments.>"}}

// AuthorizeRequest asks to set an order's price aside at the customer's means of payment.
type AuthorizeRequest struct {
	OrderID    string      `json:"order_id"`
	CustomerID string      `json:"customer_id"`
	Amount     money.Money `json:"amount"`
	// Token stands for the means of payment at the provider. It is handed on and not kept.
	Token string `json:"token"`
}

// Authorization is money set aside.
type Authorization struct {
	PaymentID string      `json:"payment_id"`
	Amount    money.Money `json:"amount"`
}

// CaptureRequest asks to take all the money that was authorized for an order.
type CaptureRequest struct {
	OrderID string `json:"order_id"`
}

// Captured is money taken.
type Captured struct {
	PaymentID string      `json:"payment_id"`
	Amount    money.Money `json:"amount"`
}

// CancelRequest asks to undo whatever was paid for an order.
type CancelRequest struct {
	OrderID string `json:"order_id"`
}

// Cancellation tells what undoing took.
type Cancellation struct {
	// PaymentID is empty where nothing had happened.
	PaymentID string `json:"payment_id,omitempty"`
	// Outcome is "voided", "refunded" or "nothing".
	Outcome string `json:"outcome"`
}

// The activities. Each is idempotent by order id: called again, it answers what it answered before.
var (
	// Authorize screens for fraud, then asks the provider. An outcome that got lost is looked up before it is tried
	// again.
	Authorize = contract.Activity[AuthorizeRequest, Authorization]{
		Queue: TaskQueue, Name: "payments/Authorize", StartToClose: 30 * time.Second,
		Final: []*errs.Error{
			ErrDeclined, ErrInsufficientFunds, ErrFraudSuspected, ErrLimitExceeded, ErrCancelled, ErrAmountMismatch,
		},
	}
	// Capture is the saga's pivot.
	Capture = contract.Activity[CaptureRequest, Captured]{
		Queue: TaskQueue, Name: "payments/Capture", StartToClose: 30 * time.Second,
		Final: []*errs.Error{ErrNotAuthorized, ErrCaptureRefused, ErrCancelled},
	}
	// Cancel undoes Authorize and Capture: it voids what is authorized and refunds what is captured and not yet
	// refunded. Where nothing happened it leaves a mark, so that an Authorize which comes late is refused.
	Cancel = contract.Activity[CancelRequest, Cancellation]{
		Queue: TaskQueue, Name: "payments/Cancel", StartToClose: 30 * time.Second,
	}
)

// The failures.
var (
	ErrDeclined = errs.New(errs.Declined, "payment_declined",
		"The payment was declined. Please try another means of payment.")
	ErrInsufficientFunds = errs.New(errs.Declined, "insufficient_funds",
		"The payment was declined because there is not enough money.")
	ErrFraudSuspected = errs.New(errs.Declined, "fraud_suspected",
		"The payment was declined. Please contact your bank.")
	ErrLimitExceeded = errs.New(errs.Declined, "customer_limit_exceeded",
		"The payment was declined because it exceeds the limit for this customer.")
	ErrMaintenance = errs.New(errs.Unavailable, "payments_maintenance",
		"Payments are being maintained. Please try again later.")
	ErrProviderUnavailable = errs.New(errs.Unavailable, "payment_provider_unavailable",
		"The payment provider cannot be reached.")
	ErrOutcomeUnknown = errs.New(errs.OutcomeUnknown, "payment_outcome_unknown",
		"The payment provider has not answered yet.")
	ErrCancelled = errs.New(errs.Conflict, "payment_cancelled",
		"The payment was cancelled.")
	ErrAmountMismatch = errs.New(errs.Conflict, "payment_amount_mismatch",
		"There is a payment for this order already, over another amount.")
	ErrNotAuthorized = errs.New(errs.Conflict, "payment_not_authorized",
		"There is no authorized payment for this order.")
	ErrCaptureRefused = errs.New(errs.Declined, "capture_refused",
		"The payment could not be taken.")
)

// Changed is the data of every event about a payment. Amounts are those after the change.
type Changed struct {
	PaymentID  string      `json:"payment_id"`
	OrderID    string      `json:"order_id"`
	CustomerID string      `json:"customer_id"`
	State      string      `json:"state"`
	Amount     money.Money `json:"amount"`
	Captured   int64       `json:"captured"`
	Refunded   int64       `json:"refunded"`
	// Code and Message say why, where the payment was declined.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// The events. Their CloudEvents subject is the order's id.
var (
	EventAuthorized     = contract.Event[Changed]{Type: "payments.payment.authorized.v1"}
	EventDeclined       = contract.Event[Changed]{Type: "payments.payment.declined.v1"}
	EventOutcomeUnknown = contract.Event[Changed]{Type: "payments.payment.outcome_unknown.v1"}
	EventCaptured       = contract.Event[Changed]{Type: "payments.payment.captured.v1"}
	EventVoided         = contract.Event[Changed]{Type: "payments.payment.voided.v1"}
	EventRefunded       = contract.Event[Changed]{Type: "payments.payment.refunded.v1"}
)
