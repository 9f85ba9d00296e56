package payment_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func (b *bundle) requireResumed(want int) {
	b.t.Helper()
	resumed, err := b.svc.ResumeRefunds(b.t.Context())
	require.NoError(b.t, err)
	require.Equal(b.t, want, resumed)
}

// onlyRefund is the payment's only refund in our books.
func (o *order) onlyRefund() payment.Refund {
	o.t.Helper()
	_, refunds, err := o.svc.PaymentWithRefunds(o.t.Context(), o.row().ID)
	require.NoError(o.t, err)
	require.Len(o.t, refunds, 1)
	return refunds[0]
}

func TestARefundWhoseProcessDiedIsResumedWithoutItsClient(t *testing.T) {
	t.Parallel()
	for when, name := range map[moment]string{beforeCall: "before", afterCall: "after"} {
		t.Run(name+" the call", func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa).captured()
			crash(b.network, "refund", when, func() { _, _ = o.refund("k", 1500) })
			b.requireResumed(0) // Nobody can tell a dead process from a busy one.
			require.Equal(t, payment.RefundPending, o.onlyRefund().State)

			b.attemptsEnd()
			b.requireResumed(1)
			require.Equal(t, payment.RefundSucceeded, o.onlyRefund().State)
			require.Equal(t, int64(1500), o.charge().Refunded)
			require.Equal(t, int64(1500), o.row().Refunded)
			require.Equal(t, payments.EventRefunded.Type, o.events()[len(o.events())-1])

			answer, err := o.refund("k", 1500)
			require.NoError(t, err)
			require.Equal(t, o.onlyRefund().ID, answer.ID)
			b.attemptsEnd()
			b.requireResumed(0)
		})
	}
}

func TestARefundThatFailedIsResumedUntilTheProviderAnswers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fault{
		"answer lost": answerLost, "request lost": requestLost, "unreachable": unreachable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa).captured()
			b.network.fail("refund", fault)
			_, err := o.refund("k", 100)
			require.Error(t, err)
			b.requireResumed(0) // Its client has the first go.

			b.attemptsEnd()
			b.network.fail("find", unreachable)
			resumed, err := b.svc.ResumeRefunds(t.Context())
			require.ErrorIs(t, err, payments.ErrProviderUnavailable)
			require.Zero(t, resumed)
			b.requireResumed(0)

			b.attemptsEnd()
			b.requireResumed(1)
			require.Equal(t, int64(100), o.charge().Refunded)
			require.Equal(t, int64(100), o.row().Refunded)
		})
	}
}

func TestAResumedRefundThatTheProviderRefusesSetsItsAmountFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).captured()
	crash(b.network, "refund", beforeCall, func() { _, _ = o.refund("k", 1999) })
	// Somebody refunds a part at the provider's own desk.
	err := b.sandbox.Refund(t.Context(), payment.RefundCall{
		Charge: payment.ChargeRef{Key: o.id + "/authorize"}, Key: "desk", Amount: o.onlyRefund().Amount,
	})
	require.NoError(t, err)
	b.attemptsEnd()
	b.requireResumed(1)
	require.Equal(t, payment.RefundFailed, o.onlyRefund().State)
	_, err = o.refund("k", 1999)
	require.ErrorIs(t, err, payment.ErrRefundRefused)
}

func TestARefundThatCannotBeResumedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	orders := []*order{b.order(sandbox.TokenVisa).captured(), b.order(sandbox.TokenVisa).captured()}
	for _, o := range orders {
		crash(b.network, "refund", beforeCall, func() { _, _ = o.refund("key of "+o.id, 100) })
	}
	b.attemptsEnd()
	b.network.fail("refund", requestLost)
	resumed, err := b.svc.ResumeRefunds(t.Context())
	require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
	require.Equal(t, 1, resumed)
	require.Zero(t, orders[0].row().Refunded)
	require.Equal(t, int64(100), orders[1].row().Refunded)
}

func TestReplicasAndClientsResumeARefundOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const refunds, replicas = 5, 4
	var orders []*order
	for range refunds {
		o := b.order(sandbox.TokenVisa).captured()
		crash(b.network, "refund", beforeCall, func() { _, _ = o.refund("key of "+o.id, 100) })
		orders = append(orders, o)
	}
	b.attemptsEnd()
	var wg sync.WaitGroup
	for range replicas {
		wg.Go(func() {
			if _, err := b.svc.ResumeRefunds(t.Context()); err != nil {
				t.Errorf("a replica failed: %v", err)
			}
		})
	}
	for _, o := range orders {
		wg.Go(func() {
			if _, err := o.refund("key of "+o.id, 100); err != nil && !errors.Is(err, idempotency.ErrInUse) {
				t.Errorf("the client failed: %v", err)
			}
		})
	}
	wg.Wait()
	for _, o := range orders {
		require.Equal(t, int64(100), o.charge().Refunded)
		require.Equal(t, int64(100), o.row().Refunded)
	}
	require.Equal(t, 2*refunds, b.network.called("refund"), "the calls that died, and one more each")
	require.Equal(t, refunds, b.network.called("find"), "one looks each up")
}

// The same with the order forced: the others come while one is at the provider.
func TestWhileARefundIsResumedNobodyElseGoesOnWithIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).captured()
	crash(b.network, "refund", beforeCall, func() { _, _ = o.refund("k", 100) })
	b.attemptsEnd()
	meanwhile := func(operation string) {
		if operation == "find" {
			b.requireResumed(0)
			_, err := o.refund("k", 100)
			require.ErrorIs(t, err, idempotency.ErrInUse)
		}
	}
	b.network.before, b.network.after = meanwhile, meanwhile
	b.requireResumed(1)
	require.Equal(t, 1, b.network.called("find"))
	require.Equal(t, int64(100), o.charge().Refunded)
}

// Nor does a replica that saw the refund idle before another one took it on.
func TestARefundThatWasTakenOnMeanwhileIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.order(sandbox.TokenVisa).captured(), b.order(sandbox.TokenVisa).captured()
	for _, o := range []*order{first, second} {
		crash(b.network, "refund", beforeCall, func() { _, _ = o.refund("key of "+o.id, 100) })
	}
	b.attemptsEnd()
	// While this replica is at the provider with the first, the second is asked for by its client, in vain.
	asked := false
	b.network.before = func(operation string) {
		if operation == "find" && !asked {
			asked = true
			b.network.fail("find", unreachable)
			_, err := second.refund("key of "+second.id, 100)
			require.ErrorIs(t, err, payments.ErrProviderUnavailable)
		}
	}
	b.requireResumed(1)
	require.Equal(t, int64(100), first.row().Refunded)
	require.Zero(t, second.row().Refunded)
}
