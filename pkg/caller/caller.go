// Package caller says on whose behalf something is done. Every request has a Caller; ownership filters, the scope of
// idempotency keys and the record of who did what all use it. It must not know how a caller is recognised: that is
// the transport's part.
package caller

import (
	"context"
	"slices"

	"github.com/orderflow/orderflow/pkg/errs"
)

// The scopes in use.
const (
	// ScopeAll stands for every scope.
	ScopeAll = "*"
	// ScopeOperate is held by operators: they see and settle the orders of every customer.
	ScopeOperate = "orders:operate"
)

// Caller is a person or a program that asks for something.
type Caller struct {
	// Subject identifies the caller. Two requests with the same subject come from the same caller.
	Subject string
	// Scopes are what the caller may do.
	Scopes []string
}

// Has reports whether the caller was granted the scope.
func (c Caller) Has(scope string) bool {
	return slices.Contains(c.Scopes, scope) || slices.Contains(c.Scopes, ScopeAll)
}

// MaySeeEverything reports whether the caller may see what belongs to others.
func (c Caller) MaySeeEverything() bool { return c.Has(ScopeOperate) }

type key struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// From returns the caller in ctx. Without one it returns the zero Caller, which has no subject and may do nothing.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(key{}).(Caller)
	return c
}

// ErrScopeMissing means that the caller is known, but lacks a scope.
var ErrScopeMissing = errs.New(errs.Forbidden, "scope_missing", "The caller may not do this.")

// Require returns ErrScopeMissing unless the caller was granted the scope.
func (c Caller) Require(scope string) error {
	if c.Has(scope) {
		return nil
	}
	return ErrScopeMissing.WithMessage("The caller may not do this: it lacks the scope %s.", scope)
}
