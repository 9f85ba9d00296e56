package payment_test

import (
	"context"
	"errors"
	"sync"

	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// fault is what the network does to one call.
type fault int

const (
	works fault = iota
	// answerLost: the provider acts, and its answer never arrives.
	answerLost
	// requestLost: the provider hears nothing, and the caller does not know.
	requestLost
	// unreachable: the provider hears nothing, and the caller knows.
	unreachable
)

var errLost = errors.New("connection reset by peer")

// network stands between the service and the provider. Plan says what happens to the next calls of an operation; those
// after the plan work. Hooks run before a call is passed on, and after the provider has answered.
type network struct {
	payment.Gateway

	mu     sync.Mutex
	plan   map[string][]fault
	before func(operation string)
	after  func(operation string)
	calls  map[string]int
}

func (n *network) fail(operation string, faults ...fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.plan == nil {
		n.plan = map[string][]fault{}
	}
	n.plan[operation] = append(n.plan[operation], faults...)
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plan = nil
}

func (n *network) called(operation string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[operation]
}

func (n *network) next(operation string) (fault, func(string), func(string)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.calls == nil {
		n.calls = map[string]int{}
	}
	n.calls[operation]++
	f := works
	if plan := n.plan[operation]; len(plan) > 0 {
		f, n.plan[operation] = plan[0], plan[1:]
	}
	return f, n.before, n.after
}

func pass[T any](n *network, operation string, call func() (T, error)) (T, error) {
	var none T
	f, before, after := n.next(operation)
	if before != nil {
		before(operation)
	}
	switch f {
	case requestLost:
		return none, errLost
	case unreachable:
		return none, payments.ErrProviderUnavailable
	case works, answerLost:
	}
	res, err := call()
	if after != nil {
		after(operation)
	}
	if f == answerLost {
		return none, errLost
	}
	return res, err
}

func (n *network) Authorize(ctx context.Context, c payment.AuthorizeCall) (payment.Charge, error) {
	return pass(n, "authorize", func() (payment.Charge, error) { return n.Gateway.Authorize(ctx, c) })
}

func (n *network) Capture(ctx context.Context, r payment.ChargeRef) (payment.Charge, error) {
	return pass(n, "capture", func() (payment.Charge, error) { return n.Gateway.Capture(ctx, r) })
}

func (n *network) Void(ctx context.Context, r payment.ChargeRef) (payment.Charge, error) {
	return pass(n, "void", func() (payment.Charge, error) { return n.Gateway.Void(ctx, r) })
}

func (n *network) Refund(ctx context.Context, c payment.RefundCall) error {
	_, err := pass(n, "refund", func() (struct{}, error) { return struct{}{}, n.Gateway.Refund(ctx, c) })
	return err
}

func (n *network) Find(ctx context.Context, r payment.ChargeRef) (payment.Charge, error) {
	return pass(n, "find", func() (payment.Charge, error) { return n.Gateway.Find(ctx, r) })
}

// moment is when a process dies, seen from a call to the provider.
type moment int

const (
	beforeCall moment = iota
	afterCall
)

// crash runs what ends with the death of its process around a call: what the process would have done next is not done.
func crash(n *network, operation string, when moment, run func()) {
	type death struct{}
	die := func(op string) {
		if op == operation {
			panic(death{})
		}
	}
	before, after := n.before, n.after
	if when == beforeCall {
		n.before = die
	} else {
		n.after = die
	}
	defer func() {
		n.before, n.after = before, after
		if r := recover(); r != nil {
			if _, ok := r.(death); !ok {
				panic(r)
			}
		}
	}()
	run()
}
