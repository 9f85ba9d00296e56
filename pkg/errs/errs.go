// Package errs is the one taxonomy of failures. A failure has a kind, which decides whether trying again can help and
// which HTTP status it gets; a code, which clients and sagas compare; and a message written for customers. It must not
// know about HTTP or Temporal: pkg/problem and pkg/contract map it to those.
package errs

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure happened.
type Kind string

const (
	// Internal is a failure nobody foresaw. Its cause is logged, never shown. Trying again may help.
	Internal Kind = "internal"
	// Malformed input cannot be read at all: broken JSON, a wrong type, an unknown field.
	Malformed Kind = "malformed"
	// Invalid input can be read, but breaks a rule.
	Invalid Kind = "invalid"
	// Unauthenticated means that the caller is not known.
	Unauthenticated Kind = "unauthenticated"
	// Forbidden means that the caller is known, but may not do this.
	Forbidden Kind = "forbidden"
	// NotFound means that there is no such thing, or none that the caller may see.
	NotFound Kind = "not_found"
	// Conflict means that the state of the thing does not allow this now.
	Conflict Kind = "conflict"
	// TooLarge input exceeds a limit in bytes.
	TooLarge Kind = "too_large"
	// Declined means that a business partner said no: an issuer, a carrier, a fraud screen.
	Declined Kind = "declined"
	// Unavailable means that something needed is down or busy. Nothing has happened; trying again may help.
	Unavailable Kind = "unavailable"
	// OutcomeUnknown means that the other side may have acted, but its answer was lost. The outcome must be looked up
	// before anything is tried again.
	OutcomeUnknown Kind = "outcome_unknown"
)

// Retryable reports whether the same request may succeed later.
func (k Kind) Retryable() bool {
	switch k {
	case Internal, Unavailable, OutcomeUnknown:
		return true
	default:
		return false
	}
}

// Field names one bad value of the input.
type Field struct {
	// Pointer is the JSON pointer (RFC 6901) of the value, such as "/lines/0/quantity".
	Pointer string `json:"pointer"`
	// Code is stable and compared by programs, such as "out_of_range".
	Code string `json:"code"`
	// Message is a sentence for people.
	Message string `json:"message"`
}

// Error is a failure of a known kind. Values are immutable: the With methods return a copy, so that a package can
// declare its failures once, as variables, and callers can compare them with errors.Is.
type Error struct {
	// Kind decides about retries and the HTTP status.
	Kind Kind
	// Code is stable, in snake_case, and unique over all services.
	Code string
	// Message is a sentence that a customer may read. It holds no personal data and no internals.
	Message string
	// Fields lists bad input values, if that is what failed.
	Fields []Field

	cause error
}

// New declares a failure.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Error returns the code, the message and the causes, for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.cause)
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a failure with the same code, so that copies compare equal to what was declared.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// WithCause returns a copy that keeps the cause for logs.
func (e *Error) WithCause(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// WithMessage returns a copy with another message for customers.
func (e *Error) WithMessage(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// WithFields returns a copy that names the bad values.
func (e *Error) WithFields(fields ...Field) *Error {
	c := *e
	c.Fields = fields
	return &c
}

var internal = New(Internal, "internal", "Something went wrong on our side. Please try again later.")

// From returns the failure in err's chain; any other error becomes an Internal failure with err as its cause.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return internal.WithCause(err)
}
