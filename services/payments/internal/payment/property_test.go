package payment_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// Whatever is asked for in whatever order, and whatever gets lost on the way or dies in the middle: once everything has
// come to rest, our books and the provider's say the same, and nobody was refunded more than was captured.
func TestBooksAgreeAtRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens := []string{
		sandbox.TokenVisa, sandbox.TokenVisa, sandbox.TokenVisa, sandbox.TokenProcessingError, sandbox.TokenDeclined,
		sandbox.TokenCaptureRefused,
	}
	operations := []string{"authorize", "capture", "void", "refund", "find"}

	rapid.Check(t, func(r *rapid.T) {
		o := b.order(rapid.SampledFrom(tokens).Draw(r, "token"))
		steps := map[string]func(*rapid.T){
			"authorize": func(*rapid.T) { _, _ = o.authorize() },
			"capture":   func(*rapid.T) { _, _ = o.capture() },
			"cancel":    func(*rapid.T) { _, _ = o.cancel() },
			"refund": func(r *rapid.T) {
				if len(o.mustFind()) == 0 {
					return
				}
				key := o.id + strconv.Itoa(rapid.IntRange(1, 3).Draw(r, "key"))
				_, _ = o.refund(key, int64(rapid.SampledFrom([]int{0, 1, 100, 1999, 5000}).Draw(r, "amount")))
			},
			"time passes": func(*rapid.T) { b.attemptsEnd() },
		}
		names := []string{"authorize", "authorize", "capture", "capture", "cancel", "refund", "refund", "time passes"}
		for range rapid.IntRange(1, 10).Draw(r, "steps") {
			b.network.heal()
			for _, operation := range operations {
				b.network.fail(operation,
					rapid.SampledFrom([]fault{works, works, works, answerLost, requestLost, unreachable}).Draw(r, operation))
			}
			step := func() { steps[rapid.SampledFrom(names).Draw(r, "step")](r) }
			if rapid.IntRange(0, 3).Draw(r, "dies") == 0 {
				where := rapid.SampledFrom(operations).Draw(r, "where")
				crash(b.network, where, rapid.SampledFrom([]moment{beforeCall, afterCall}).Draw(r, "when"), step)
			} else {
				step()
			}
			o.checkBounds(r)
		}
		b.network.heal()
		o.comeToRest(r)
		o.checkBooks(r)
	})
}

// mustFind is the payment of the order, if there is one.
func (o *order) mustFind() []payment.Payment {
	list, err := o.svc.Payments(o.t.Context(), payment.Filter{OrderID: o.id}, nil, 1)
	require.NoError(o.t, err)
	return list
}

// comeToRest does what Temporal and the callers of refunds do: it repeats what was left open until it is settled.
func (o *order) comeToRest(r *rapid.T) {
	for range 10 {
		list := o.mustFind()
		if len(list) == 0 {
			return
		}
		o.attemptsEnd()
		// Harmless where it is settled; it completes what was announced, an undo that was begun included.
		_, err := o.authorize()
		if errs.From(err).Code == "payment_cancelled" {
			_, err = o.cancel()
		}
		if err != nil && errs.From(err).Kind.Retryable() {
			continue
		}
		if _, err = o.capture(); err != nil && errs.From(err).Kind.Retryable() {
			continue
		}
		if o.resumeRefunds(r) {
			return
		}
	}
	r.Fatalf("order %s does not come to rest: %+v", o.id, o.mustFind())
}

func (o *order) resumeRefunds(r *rapid.T) (settled bool) {
	_, refunds, err := o.svc.PaymentWithRefunds(o.t.Context(), o.row().ID)
	require.NoError(r, err)
	for _, refund := range refunds {
		if refund.State != payment.RefundPending {
			continue
		}
		for key := 1; key <= 3; key++ {
			for _, amount := range []int64{0, 1, 100, 1999, 5000} {
				_, _ = o.refund(o.id+strconv.Itoa(key), amount)
			}
		}
		return false
	}
	return true
}

func (o *order) checkBounds(r *rapid.T) {
	for _, p := range o.mustFind() {
		require.LessOrEqual(r, p.Captured, p.Amount.Amount)
		require.LessOrEqual(r, p.Refunded, p.Captured)
	}
	charges := o.charges()
	require.LessOrEqual(r, len(charges), 1, "an order is charged once")
}

func (o *order) checkBooks(r *rapid.T) {
	list, charges := o.mustFind(), o.charges()
	if len(list) == 0 {
		require.Empty(r, charges)
		return
	}
	p := list[0]
	var theirs sandbox.Charge
	if len(charges) > 0 {
		theirs = charges[0]
	}
	require.Equal(r, p.Captured, theirs.Captured)
	require.Equal(r, p.Refunded, theirs.Refunded)
	status := map[payment.State]string{
		payment.Authorized: "authorized", payment.Captured: "captured", payment.PartiallyRefunded: "captured",
		payment.Refunded: "captured", payment.Declined: "declined", payment.Voided: "voided",
	}[p.State]
	require.NotEmpty(r, status, "a payment at rest is not %s", p.State)
	if p.State != payment.Voided || len(charges) > 0 {
		require.Equal(r, status, theirs.Status)
	}
	exposed := int64(0)
	if p.State != payment.Voided && p.State != payment.Declined {
		exposed = p.Amount.Amount - p.Refunded
	}
	require.Equal(r, exposed, o.exposure())
}
