package payment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestOnlyAnAuthorizedPaymentIsCaptured(t *testing.T) {
	t.Parallel()
	b := setup(t)

	never := b.order(sandbox.TokenVisa)
	_, err := never.capture()
	require.ErrorIs(t, err, payments.ErrNotAuthorized)

	b.network.fail("authorize", requestLost)
	unknown := b.order(sandbox.TokenVisa)
	_, err = unknown.authorize()
	require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
	_, err = unknown.capture()
	require.ErrorIs(t, err, payments.ErrNotAuthorized)

	voided := b.order(sandbox.TokenVisa).authorized()
	_, err = voided.cancel()
	require.NoError(t, err)
	_, err = voided.capture()
	require.ErrorIs(t, err, payments.ErrCancelled)
	require.Zero(t, b.network.called("capture"))
}

func TestARefusedCaptureIsFinalAndCanBeUndone(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenCaptureRefused).authorized()
	for range 2 {
		_, err := o.capture()
		require.ErrorIs(t, err, payments.ErrCaptureRefused)
	}
	undone, err := o.cancel()
	require.NoError(t, err)
	require.Equal(t, "voided", undone.Outcome)
	o.requireNothingHeld()
}

func TestALostCaptureIsLookedUpBeforeItIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token    string
		fault    fault
		captures int
	}{
		"the provider never answers": {sandbox.TokenCaptureTimeout, works, 1},
		"the answer was lost":        {sandbox.TokenVisa, answerLost, 1},
		"the request was lost":       {sandbox.TokenVisa, requestLost, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.network.fail("capture", test.fault)
			o := b.order(test.token).authorized()
			_, err := o.capture()
			require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
			o.requireState(payment.Authorized)

			_, err = o.capture()
			require.NoError(t, err)
			require.Equal(t, test.captures, b.network.called("capture"))
			require.Equal(t, 1, b.network.called("find"))
			o.requireState(payment.Captured)
			require.Equal(t, int64(1999), o.charge().Captured)
		})
	}
}

func TestACaptureIsTriedAgainWhenTheProviderIsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).authorized()
	b.network.fail("capture", unreachable)
	_, err := o.capture()
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	b.network.fail("find", unreachable)
	_, err = o.capture()
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	_, err = o.capture()
	require.NoError(t, err)
}

// An authorization runs out after some days; the provider voids it then.
func TestACaptureOfWhatTheProviderVoidedIsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).authorized()
	_, err := b.sandbox.Void(t.Context(), payment.ChargeRef{Key: o.id + "/authorize"})
	require.NoError(t, err)
	_, err = o.capture()
	require.ErrorIs(t, err, payments.ErrCancelled)
	o.requireState(payment.Voided)
	require.Zero(t, o.exposure())
}

func TestACaptureStaysCapturedWhateverIsRefunded(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa).captured()
	_, err := o.refund("k1", 999)
	require.NoError(t, err)
	_, err = o.capture()
	require.NoError(t, err)
	_, err = o.refund("k2", 0)
	require.NoError(t, err)
	_, err = o.capture()
	require.NoError(t, err)
}
