package payment

import "github.com/orderflow/orderflow/pkg/errs"

// Failures that only callers of the HTTP API meet, and those that tell a saga to come back later.
var (
	// ErrInFlight means that another call to the provider about this payment may still be under way.
	ErrInFlight = errs.New(errs.Unavailable, "payment_in_flight",
		"The payment provider is being asked already. Please try again.")
	// ErrNotFound means that there is no such payment.
	ErrNotFound = errs.New(errs.NotFound, "payment_not_found", "There is no such payment.")
	// ErrNotRefundable means that nothing was captured, or nothing is left to refund.
	ErrNotRefundable = errs.New(errs.Conflict, "payment_not_refundable",
		"There is no captured money to refund for this payment.")
	// ErrRefundTooLarge means that a refund would exceed what was captured and neither refunded nor reserved by another
	// refund.
	ErrRefundTooLarge = errs.New(errs.Conflict, "refund_too_large",
		"The refund exceeds the captured money that is left.")
	// ErrRefundRefused means that the provider will not refund.
	ErrRefundRefused = errs.New(errs.Declined, "refund_refused", "The payment provider refused the refund.")
	// ErrKeyMissing means that a refund was asked for without a key that makes it safe to repeat.
	ErrKeyMissing = errs.New(errs.Malformed, "idempotency_key_missing",
		"This operation needs the header Idempotency-Key.")
	// ErrProcessing is for gateways: the provider said that it tried, that something on its way failed, and that nothing
	// came of it.
	ErrProcessing = errs.New(errs.Unavailable, "payment_processing_error",
		"The payment provider could not process the payment just now.")
	errMalformed = errs.New(errs.Invalid, "authorization_invalid", "The payment cannot be authorized as asked for.")
)
