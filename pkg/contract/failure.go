package contract

import (
	"context"
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/orderflow/orderflow/pkg/errs"
)

// failure is what travels in the details of an application error. The cause stays in the service's log: it may hold
// internals, and a workflow must not decide by it.
type failure struct {
	Kind    errs.Kind    `json:"kind"`
	Message string       `json:"message"`
	Fields  []errs.Field `json:"fields,omitempty"`
}

// encodeFailure makes a failure travel. The code becomes the error type, which retry policies compare.
func encodeFailure(err error) error {
	if temporal.IsCanceledError(err) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled // whatever is wrapped around it stays in the service's log, too
	}
	e := errs.From(err)
	return temporal.NewApplicationErrorWithOptions(e.Message, e.Code, temporal.ApplicationErrorOptions{
		NonRetryable: !e.Kind.Retryable(),
		Cause:        nil,
		Details:      []any{failure{Kind: e.Kind, Message: e.Message, Fields: e.Fields}},
	})
}

// The failures that Temporal itself reports of an activity.
var (
	// ErrTimeout means that the activity's answer did not come in time. It may have had its effect.
	ErrTimeout = errs.New(errs.OutcomeUnknown, "step_timeout", "A part of the system did not answer in time.")
	// ErrUnclassified means that an activity failed in a way its owner did not classify, such as a panic.
	ErrUnclassified = errs.New(errs.Internal, "step_failed", "A part of the system failed.")
)

// decodeFailure is the way back. Cancellation stays what it is.
func decodeFailure(err error) error {
	if temporal.IsCanceledError(err) {
		return err
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var f failure
		if app.HasDetails() && app.Details(&f) == nil && f.Kind != "" {
			return errs.New(f.Kind, app.Type(), f.Message).WithFields(f.Fields...)
		}
		return ErrUnclassified.WithCause(err)
	}
	if temporal.IsTimeoutError(err) {
		return ErrTimeout.WithCause(err)
	}
	return ErrUnclassified.WithCause(err)
}
