package payment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestCancelUndoesWhateverWasPaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, test := range map[string]struct {
		prepare func(*order)
		outcome string
		state   payment.State
		events  []string
	}{
		"authorized": {
			func(o *order) { o.authorized() }, "voided", payment.Voided,
			[]string{payments.EventAuthorized.Type, payments.EventVoided.Type},
		},
		"captured": {
			func(o *order) { o.captured() }, "refunded", payment.Refunded,
			[]string{payments.EventAuthorized.Type, payments.EventCaptured.Type, payments.EventRefunded.Type},
		},
		"partially refunded": {
			func(o *order) {
				o.captured()
				_, err := o.refund("half", 1000)
				require.NoError(o.t, err)
			}, "refunded", payment.Refunded,
			[]string{
				payments.EventAuthorized.Type, payments.EventCaptured.Type, payments.EventRefunded.Type,
				payments.EventRefunded.Type,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := b.order(sandbox.TokenVisa)
			test.prepare(o)
			for range 2 {
				undone, err := o.cancel()
				require.NoError(t, err)
				require.Equal(t, payments.Cancellation{PaymentID: o.row().ID, Outcome: test.outcome}, undone)
			}
			o.requireState(test.state)
			o.requireNothingHeld()
			require.Zero(t, o.exposure())
			require.Equal(t, test.events, o.events())

			_, err := o.authorize()
			require.ErrorIs(t, err, payments.ErrCancelled)
			_, err = o.capture()
			require.ErrorIs(t, err, payments.ErrCancelled)
		})
	}
}

func TestCancelAfterAProcessingErrorHasNothingToWaitFor(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenProcessingError)
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	undone, err := o.cancel()
	require.NoError(t, err)
	require.Equal(t, "voided", undone.Outcome)
	require.Zero(t, o.exposure())
}

func TestCancelLooksUpAnAuthorizationWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.network.fail("authorize", answerLost)
	o := b.order(sandbox.TokenVisa)
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
	undone, err := o.cancel()
	require.NoError(t, err)
	require.Equal(t, "voided", undone.Outcome)
	require.Equal(t, "voided", o.charge().Status)
}

func TestCancelWaitsUntilALostAuthorizationCannotArriveAnyMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.network.fail("authorize", requestLost)
	o := b.order(sandbox.TokenVisa)
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
	_, err = o.cancel()
	require.ErrorIs(t, err, payment.ErrInFlight)

	b.attemptsEnd()
	_, err = o.authorize()
	require.ErrorIs(t, err, payments.ErrCancelled, "no new attempt once the undo has begun")
	undone, err := o.cancel()
	require.NoError(t, err)
	require.Equal(t, "voided", undone.Outcome)
	require.Equal(t, 1, b.network.called("authorize"))
	require.Empty(t, o.charges())
}

func TestALostUndoIsResumed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		operation string
		fault     fault
		outcome   string
	}{
		"void, answer lost":    {"void", answerLost, "voided"},
		"void, request lost":   {"void", requestLost, "voided"},
		"void, unreachable":    {"void", unreachable, "voided"},
		"refund, answer lost":  {"refund", answerLost, "refunded"},
		"refund, request lost": {"refund", requestLost, "refunded"},
		"refund, unreachable":  {"refund", unreachable, "refunded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa).authorized()
			if test.operation == "refund" {
				_, err := o.capture()
				require.NoError(t, err)
			}
			b.network.fail(test.operation, test.fault)
			_, err := o.cancel()
			if test.fault == unreachable {
				require.ErrorIs(t, err, payments.ErrProviderUnavailable)
			} else {
				require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
			}
			undone, err := o.cancel()
			require.NoError(t, err)
			require.Equal(t, test.outcome, undone.Outcome)
			o.requireNothingHeld()
			require.Equal(t, o.charge().Captured, o.charge().Refunded, "refunded once")
		})
	}
}

func TestCancelMeetsACaptureWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	for fault, outcome := range map[fault]string{answerLost: "refunded", requestLost: "voided"} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa).authorized()
			b.network.fail("capture", fault)
			_, err := o.capture()
			require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
			undone, err := o.cancel()
			require.NoError(t, err)
			require.Equal(t, outcome, undone.Outcome)
			o.requireNothingHeld()
		})
	}
}

func TestACaptureThatGetsThroughBetweenLookUpAndVoidIsRefunded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).authorized()
	b.network.before = func(operation string) {
		if operation == "void" {
			_, err := b.sandbox.Capture(t.Context(), payment.ChargeRef{Key: o.id + "/authorize"})
			require.NoError(t, err)
		}
	}
	undone, err := o.cancel()
	require.NoError(t, err)
	require.Equal(t, "refunded", undone.Outcome)
	o.requireNothingHeld()
}

func TestCancelCompletesRefundsUnderWayBeforeItRefundsTheRest(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fault{"made": answerLost, "not made": requestLost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa).captured()
			b.network.fail("refund", fault)
			_, err := o.refund("k", 500)
			require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
			undone, err := o.cancel()
			require.NoError(t, err)
			require.Equal(t, "refunded", undone.Outcome)
			require.Equal(t, int64(1999), o.charge().Refunded)

			made, err := o.refund("k", 500)
			require.NoError(t, err, "the caller's own refund was completed")
			require.Equal(t, payment.RefundSucceeded, made.State)
			_, err = o.refund("k2", 1)
			require.ErrorIs(t, err, payments.ErrCancelled)
		})
	}
}

func TestAVoidThatIsDownIsParkedAndCured(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVoidDown).authorized()
	for range 3 {
		_, err := o.cancel()
		require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	}
	require.NoError(t, o.sandbox.SetVoidOutage(t.Context(), false))
	undone, err := o.cancel()
	require.NoError(t, err)
	require.Equal(t, "voided", undone.Outcome)
}
