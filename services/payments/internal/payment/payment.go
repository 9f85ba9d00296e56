// Package payment is the domain of the payments service: one payment per order, from authorization through capture to
// refund, and the fraud screen in front of it. It knows nothing of HTTP, of Temporal or of any particular provider.
package payment

import (
	"time"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// noCurrency is ISO 4217's code for "no currency". An order that was cancelled before anything was paid for it leaves
// a payment over 0 XXX, so that an Authorize which comes late finds it and is refused.
const noCurrency = "XXX"

// zeroTime is how a payment says that something has not happened.
var zeroTime time.Time

// Payment is the one payment of an order.
type Payment struct {
	ID, OrderID string
	// CustomerID is empty where the order was cancelled before anything was paid for it.
	CustomerID string
	State      State
	Amount     money.Money
	// Captured and Refunded are in minor units of Amount's currency.
	Captured, Refunded int64
	// Decline says why, where the payment was declined.
	Decline              *errs.Error
	CreatedAt, UpdatedAt time.Time

	reference string
	attempt   int
	// attemptUntil is set while an authorization's answer is awaited: a call may be under way until then. As no two
	// attempts have the same, it also tells whose answer this is.
	attemptUntil time.Time
	// captureStartedAt is set from the first capture asked for until its outcome is known.
	captureStartedAt time.Time
	// cancelledAt is set by Cancel and never taken back.
	cancelledAt time.Time
}

// ref says to the provider which charge is this payment's.
func (p Payment) ref() ChargeRef {
	return ChargeRef{
		Key: p.OrderID + "/authorize", Attempt: p.attempt, Reference: p.reference,
		Since: p.CreatedAt, Until: p.attemptUntil,
	}
}

func (p Payment) cancelled() bool { return !p.cancelledAt.IsZero() }

// neverPaid reports whether the order was cancelled before anything was paid for it.
func (p Payment) neverPaid() bool { return p.Amount.Currency == noCurrency }

// exposure is what the payment counts towards its customer's limit.
func (p Payment) exposure() int64 {
	switch p.State {
	case Declined, Voided:
		return 0
	default:
		return p.Amount.Amount - p.Refunded
	}
}

// follow returns the payment as it is after what the provider's books say, and the event that tells of the change. An
// answer that is older than our books changes nothing.
func (p Payment) follow(c Charge) (Payment, *contract.Event[payments.Changed], error) {
	after := p
	after.reference = c.Reference
	var event *contract.Event[payments.Changed]
	switch c.Status {
	case StatusAuthorized:
		// One that turns up after we gave up on it is left to whoever got the answer: it must be voided.
		if !p.State.unresolved() {
			return p, nil, nil
		}
		after.State, event = Authorized, &payments.EventAuthorized
	case StatusCaptured:
		if p.State == PartiallyRefunded || p.State == Refunded || p.State == Captured {
			return p, nil, nil
		}
		after.State, after.Captured, event = Captured, p.Amount.Amount, &payments.EventCaptured
	case StatusVoided:
		after.State = Voided
		if p.State != Voided {
			event = &payments.EventVoided
		}
	case StatusDeclined:
		if p.State == Voided || p.State == Declined {
			return p, nil, nil
		}
		after.State, after.Decline, event = Declined, c.Decline, &payments.EventDeclined
	}
	after.attemptUntil, after.captureStartedAt = zeroTime, zeroTime
	if after.State == p.State {
		return after, event, nil
	}
	return after, event, p.State.check(after.State)
}

// changed is what events say about the payment.
func (p Payment) changed() payments.Changed {
	c := payments.Changed{
		PaymentID: p.ID, OrderID: p.OrderID, CustomerID: p.CustomerID, State: string(p.State), Amount: p.Amount,
		Captured: p.Captured, Refunded: p.Refunded,
	}
	if p.Decline != nil {
		c.Code, c.Message = p.Decline.Code, p.Decline.Message
	}
	return c
}

func fromRow(r db.Payment) Payment {
	p := Payment{
		ID: r.ID, OrderID: r.OrderID, CustomerID: deref(r.CustomerID), State: State(r.State),
		Amount: money.Of(r.Amount, r.Currency), Captured: r.Captured, Refunded: r.Refunded,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		reference: deref(r.Reference), attempt: int(r.Attempt), attemptUntil: deref(r.AttemptUntil),
		captureStartedAt: deref(r.CaptureStartedAt), cancelledAt: deref(r.CancelledAt),
	}
	if r.DeclineCode != nil {
		p.Decline = errs.New(errs.Declined, *r.DeclineCode, deref(r.DeclineMessage))
	}
	return p
}

func (p Payment) update(now time.Time) db.UpdatePaymentParams {
	u := db.UpdatePaymentParams{
		ID: p.ID, State: string(p.State), Captured: p.Captured, Refunded: p.Refunded, Reference: ptr(p.reference),
		Attempt:      int32(p.attempt), //nolint:gosec // Attempts are counted up one by one.
		AttemptUntil: ptr(p.attemptUntil), CaptureStartedAt: ptr(p.captureStartedAt), CancelledAt: ptr(p.cancelledAt),
		UpdatedAt: now,
	}
	if p.Decline != nil {
		u.DeclineCode, u.DeclineMessage = &p.Decline.Code, &p.Decline.Message
	}
	return u
}

// ptr returns nil for the zero value, which columns keep as NULL.
func ptr[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
