package payment_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestAPaymentIsRefundedInPartsAndThenInFull(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa).captured()
	part, err := o.refund("k1", 500)
	require.NoError(t, err)
	require.Equal(t, payment.RefundSucceeded, part.State)
	require.Equal(t, "anna", part.RequestedBy)
	require.Equal(t, "It came broken.", part.Reason)
	o.requireState(payment.PartiallyRefunded)
	require.Equal(t, int64(1499), o.exposure())

	rest, err := o.refund("k2", 0)
	require.NoError(t, err)
	require.Equal(t, int64(1499), rest.Amount.Amount)
	o.requireState(payment.Refunded)
	require.Zero(t, o.exposure())
	require.Equal(t, int64(1999), o.charge().Refunded)

	_, err = o.refund("k3", 0)
	require.ErrorIs(t, err, payment.ErrNotRefundable)
	p, refunds, err := o.svc.PaymentWithRefunds(t.Context(), o.row().ID)
	require.NoError(t, err)
	require.Equal(t, int64(1999), p.Refunded)
	require.Len(t, refunds, 2)
	require.Equal(t, []string{
		payments.EventAuthorized.Type, payments.EventCaptured.Type, payments.EventRefunded.Type, payments.EventRefunded.Type,
	}, o.events())
}

func TestOnlyCapturedMoneyIsRefunded(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa).authorized()
	_, err := o.refund("k", 1)
	require.ErrorIs(t, err, payment.ErrNotRefundable)
	_, err = o.capture()
	require.NoError(t, err)
	_, err = o.refund("k", 2000)
	require.ErrorIs(t, err, payment.ErrRefundTooLarge)
	require.Zero(t, o.network.called("refund"))
}

func TestARepeatedRefundAnswersAsBefore(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa).captured()
	first, err := o.refund("k", 100)
	require.NoError(t, err)
	again, err := o.refund("k", 100)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, 1, o.network.called("refund"))
	_, err = o.refund("k", 101)
	require.ErrorIs(t, err, idempotency.ErrReused)
}

func TestALostRefundIsResumedByItsKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault fault
		want  error
		calls int
	}{
		"answer lost":  {answerLost, payments.ErrOutcomeUnknown, 1},
		"request lost": {requestLost, payments.ErrOutcomeUnknown, 2},
		"unreachable":  {unreachable, payments.ErrProviderUnavailable, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa).captured()
			b.network.fail("refund", test.fault)
			_, err := o.refund("k", 1500)
			require.ErrorIs(t, err, test.want)

			_, refunds, err := b.svc.PaymentWithRefunds(t.Context(), o.row().ID)
			require.NoError(t, err)
			require.Equal(t, payment.RefundPending, refunds[0].State)
			_, err = o.refund("other", 500)
			require.ErrorIs(t, err, payment.ErrRefundTooLarge, "a pending refund reserves its amount")

			made, err := o.refund("k", 1500)
			require.NoError(t, err)
			require.Equal(t, payment.RefundSucceeded, made.State)
			require.Equal(t, test.calls, b.network.called("refund"))
			require.Equal(t, int64(1500), o.charge().Refunded)
			require.Equal(t, int64(1500), o.row().Refunded)
		})
	}
}

func TestARefundByTheSameKeyWaitsForTheOneThatRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).captured()
	crash(b.network, "refund", afterCall, func() { _, _ = o.refund("k", 100) })
	_, err := o.refund("k", 100)
	require.ErrorIs(t, err, idempotency.ErrInUse, "nobody can tell a dead process from a busy one")
	b.attemptsEnd()
	_, err = o.refund("k", 100)
	require.NoError(t, err)
	require.Equal(t, int64(100), o.charge().Refunded)
}

func TestARefundThatTheProviderRefusesSetsItsAmountFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).captured()
	// Somebody refunds at the provider's own desk.
	err := b.sandbox.Refund(t.Context(), payment.RefundCall{
		Charge: payment.ChargeRef{Key: o.id + "/authorize"}, Key: "desk", Amount: o.amount,
	})
	require.NoError(t, err)
	for range 2 {
		_, err = o.refund("k", 1999)
		require.ErrorIs(t, err, payment.ErrRefundRefused)
	}
	require.Equal(t, 1, b.network.called("refund"))
	o.requireState(payment.Captured)
	_, err = o.cancel()
	require.ErrorIs(t, err, payment.ErrRefundRefused)
}

func TestRefundsAtTheSameTimeNeverExceedWhatWasCaptured(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa).captured()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		made int
	)
	for i := range 20 {
		wg.Go(func() {
			_, err := o.refund(string(rune('a'+i)), 300)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case errs.From(err).Code != payment.ErrRefundTooLarge.Code:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 6, made)
	require.Equal(t, int64(1800), o.row().Refunded)
	require.Equal(t, int64(1800), o.charge().Refunded)
}

func TestARefundNeedsAKeyAndAPayment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.svc.Refund(t.Context(), payment.RefundRequest{PaymentID: "pay_1", Reason: "r"})
	require.ErrorIs(t, err, payment.ErrKeyMissing)
	ctx := idempotency.WithRequest(t.Context(), idempotency.Request{Caller: "anna", Key: "k"})
	_, err = b.svc.Refund(ctx, payment.RefundRequest{PaymentID: "pay_1", Reason: "r"})
	require.ErrorIs(t, err, payment.ErrNotFound)
}
