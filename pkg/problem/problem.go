// Package problem shows failures to HTTP clients as RFC 9457 problem details. It is the only place where a kind of
// failure becomes a status. It must not know what any single failure means, and it never shows the cause of one.
package problem

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/orderflow/orderflow/pkg/errs"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// TypeBase is what the code of a failure is appended to to make the problem's type.
const TypeBase = "https://orderflow.dev/problems/"

// StatusClientGone is what logs and metrics show for a request whose client went away before the answer.
const StatusClientGone = 499

// Details is the problem as a client sees it.
type Details struct {
	// Type is a URI that identifies the sort of problem: TypeBase and the code.
	Type string `json:"type"`
	// Title is the same for all problems of one kind.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Detail is a sentence for people about this problem.
	Detail string `json:"detail"`
	// Instance is the path of the request.
	Instance string `json:"instance"`
	// Code is what programs compare.
	Code string `json:"code"`
	// Errors lists the bad values of the input.
	Errors []errs.Field `json:"errors,omitempty"`
}

// ErrTooLarge is what a body over the limit becomes, also when a handler meets the limit while streaming.
var ErrTooLarge = errs.New(errs.TooLarge, "body_too_large", "The body is larger than this operation accepts.")

// From returns the problem to show for err. An error that is no failure of package errs becomes an internal one.
func From(err error, instance string) Details {
	e := failure(err)
	status, title := meaning(e.Kind)
	return Details{
		Type: TypeBase + e.Code, Title: title, Status: status,
		Detail: e.Message, Instance: instance, Code: e.Code, Errors: e.Fields,
	}
}

func failure(err error) *errs.Error {
	if _, ok := errors.AsType[*errs.Error](err); !ok {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return ErrTooLarge.WithCause(err)
		}
	}
	return errs.From(err)
}

func meaning(k errs.Kind) (status int, title string) {
	switch k {
	case errs.Malformed:
		return http.StatusBadRequest, "Malformed request"
	case errs.Invalid:
		return http.StatusUnprocessableEntity, "Invalid request"
	case errs.Unauthenticated:
		return http.StatusUnauthorized, "Unauthenticated"
	case errs.Forbidden:
		return http.StatusForbidden, "Forbidden"
	case errs.NotFound:
		return http.StatusNotFound, "Not found"
	case errs.Conflict:
		return http.StatusConflict, "Conflict"
	case errs.TooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case errs.Declined:
		return http.StatusPaymentRequired, "Declined"
	case errs.Unavailable, errs.OutcomeUnknown:
		return http.StatusServiceUnavailable, "Temporarily unavailable"
	case errs.Internal:
		return http.StatusInternalServerError, "Internal error"
	default:
		return http.StatusInternalServerError, "Internal error"
	}
}

// retryAfterSeconds is what clients are told to wait after a 503. What is down is mostly back within a second or two.
const retryAfterSeconds = "1"

// Write answers a request with a problem.
func Write(w http.ResponseWriter, d Details) error {
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	if d.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfterSeconds)
	}
	w.WriteHeader(d.Status)
	return json.NewEncoder(w).Encode(d)
}
