package stripe

import (
	"errors"
	"net"
	"net/http"

	stripe "github.com/stripe/stripe-go/v85"

	"github.com/orderflow/orderflow/services/payments"
)

// rejected reports whether Stripe understood the request and will never do it.
func rejected(e *stripe.Error) bool {
	return e.Type == stripe.ErrorTypeInvalidRequest &&
		(e.HTTPStatusCode == http.StatusBadRequest || e.HTTPStatusCode == http.StatusNotFound)
}

// failure says of an error of the call whether anything can have happened. Nothing has where no connection was made,
// and where Stripe turned the request away at its door. Everything else may have had its effect, an error of Stripe's
// own (5xx) and a request with the same key that is still running (409) included.
func failure(err error) error {
	if e, ok := errors.AsType[*stripe.Error](err); ok {
		switch e.HTTPStatusCode {
		case http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden:
			return payments.ErrProviderUnavailable.WithCause(err)
		default:
			return payments.ErrOutcomeUnknown.WithCause(err)
		}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return payments.ErrProviderUnavailable.WithCause(err)
	}
	return payments.ErrOutcomeUnknown.WithCause(err)
}
