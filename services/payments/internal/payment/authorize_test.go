package payment_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestAnOrderIsAuthorizedAndCapturedOnce(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa)

	first, err := o.authorize()
	require.NoError(t, err)
	again, err := o.authorize()
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, o.amount, first.Amount)
	o.requireState(payment.Authorized)

	taken, err := o.capture()
	require.NoError(t, err)
	require.Equal(t, payments.Captured{PaymentID: first.PaymentID, Amount: o.amount}, taken)
	again2, err := o.capture()
	require.NoError(t, err)
	require.Equal(t, taken, again2)

	require.Equal(t, 1, o.network.called("authorize"))
	require.Equal(t, 1, o.network.called("capture"))
	require.Equal(t, int64(1999), o.charge().Captured)
	require.Equal(t, []string{payments.EventAuthorized.Type, payments.EventCaptured.Type}, o.events())
}

func TestADeclineIsFinalAndHoldsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"declined":           {sandbox.TokenDeclined, payments.ErrDeclined},
		"insufficient funds": {sandbox.TokenInsufficientFunds, payments.ErrInsufficientFunds},
		"fraudulent":         {sandbox.TokenFraudulent, payments.ErrFraudSuspected},
		"unknown token":      {"pm_card_nobodyKnows", payments.ErrDeclined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := b.order(test.token)
			for range 2 {
				_, err := o.authorize()
				require.ErrorIs(t, err, test.want)
			}
			o.requireState(payment.Declined)
			require.ErrorIs(t, o.row().Decline, test.want)
			require.Zero(t, o.exposure())
			require.Equal(t, []string{payments.EventDeclined.Type}, o.events())

			undone, err := o.cancel()
			require.NoError(t, err)
			require.Equal(t, payments.Cancellation{PaymentID: o.row().ID, Outcome: "nothing"}, undone)
			_, err = o.capture()
			require.ErrorIs(t, err, payments.ErrNotAuthorized)
		})
	}
}

func TestAnotherAmountForTheSameOrderIsRefused(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa).authorized()
	o.amount.Amount++
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrAmountMismatch)
}

func TestAProcessingErrorIsCuredByARetry(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenProcessingError)
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	o.requireState(payment.Authorizing)
	o.authorized()
	require.Equal(t, []string{payments.EventAuthorized.Type}, o.events())
}

func TestALostAuthorizationIsLookedUpBeforeItIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, test := range map[string]struct {
		token string
		fault fault
	}{
		"the provider never answers":  {sandbox.TokenTimeout, works},
		"the connection was cut late": {sandbox.TokenVisa, answerLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := b
			if test.fault != works {
				b = setup(t)
				b.network.fail("authorize", test.fault)
			}
			o := b.order(test.token)
			_, err := o.authorize()
			require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
			o.requireState(payment.Unknown)

			o.authorized()
			require.Equal(t, "authorized", o.charge().Status)
			require.Equal(t, []string{payments.EventOutcomeUnknown.Type, payments.EventAuthorized.Type}, o.events())
		})
	}
}

func TestAnAuthorizationThatNeverArrivedIsTriedAgainOnceItCannotArriveAnyMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, test := range map[string]struct {
		token string
		fault fault
	}{
		"at the provider": {sandbox.TokenTimeoutNotCharged, works},
		"on the way":      {sandbox.TokenVisa, requestLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := b
			if test.fault != works {
				b = setup(t)
				b.network.fail("authorize", test.fault)
			}
			o := b.order(test.token)
			_, err := o.authorize()
			require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
			for range 3 {
				_, err = o.authorize()
				require.ErrorIs(t, err, payment.ErrInFlight)
			}
			o.requireState(payment.Unknown)

			b.attemptsEnd()
			o.authorized()
			require.Len(t, o.charges(), 1)
			require.Equal(t, []string{payments.EventOutcomeUnknown.Type, payments.EventAuthorized.Type}, o.events())
		})
	}
}

func TestAnUnreachableProviderLeavesNothingToLookUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa)
	b.network.fail("authorize", unreachable)
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	o.requireState(payment.Authorizing)
	o.authorized()
	require.Zero(t, b.network.called("find"))
}

func TestTwentyAuthorizationsOfAnOrderChargeOnce(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for {
				_, err := o.authorize()
				if err == nil {
					return
				}
				if !errs.From(err).Kind.Retryable() {
					t.Errorf("not retryable: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, o.network.called("authorize"))
	require.Equal(t, int64(1999), o.charge().Authorized)
	require.Equal(t, int64(1999), o.exposure())
	require.Equal(t, []string{payments.EventAuthorized.Type}, o.events())
}

func TestACancelledActivityStillRecordsWhatTheProviderSaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa)
	ctx, cancel := context.WithCancel(t.Context())
	b.network.before = func(string) { cancel() }
	_, err := b.svc.Authorize(ctx, o.request())
	require.NoError(t, err)
	o.requireState(payment.Authorized)
}

func TestAnAuthorizationThatComesAfterItsUndoIsRefused(t *testing.T) {
	t.Parallel()
	o := setup(t).order(sandbox.TokenVisa)
	for range 2 {
		undone, err := o.cancel()
		require.NoError(t, err)
		require.Equal(t, payments.Cancellation{Outcome: "nothing"}, undone)
	}
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrCancelled)
	_, err = o.capture()
	require.ErrorIs(t, err, payments.ErrCancelled)
	require.Empty(t, o.charges())
	require.Empty(t, o.events())
	require.Zero(t, o.exposure())
}

// A process that is stopped by its machine may wake up when everybody has given up on it.
func TestAChargeMadeAfterEverybodyGaveUpIsVoidedByWhoMadeIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa)
	b.network.before = func(operation string) {
		if operation == "authorize" {
			b.attemptsEnd()
			undone, err := o.cancel()
			require.NoError(t, err)
			require.Equal(t, "voided", undone.Outcome)
		}
	}
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrCancelled)
	require.Equal(t, "voided", o.charge().Status)
	require.Equal(t, []string{payments.EventVoided.Type}, o.events())
}

func TestAChargeMadeAfterEverybodyGaveUpIsVoidedByTheNextTry(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"authorize", "cancel"} {
		t.Run(next, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			o := b.order(sandbox.TokenVisa)
			b.network.before = func(operation string) {
				if operation == "authorize" {
					b.attemptsEnd()
					_, err := o.cancel()
					require.NoError(t, err)
				}
			}
			crash(b.network, "authorize", afterCall, func() { _, _ = o.authorize() })
			b.network.before = nil
			require.Equal(t, "authorized", o.charge().Status, "the test's premise")
			if next == "authorize" {
				_, err := o.authorize()
				require.ErrorIs(t, err, payments.ErrCancelled)
			} else {
				undone, err := o.cancel()
				require.NoError(t, err)
				require.Equal(t, "voided", undone.Outcome)
			}
			require.Equal(t, "voided", o.charge().Status)
		})
	}
}

func TestARequestThatMakesNoSenseIsRefusedBeforeAnythingHappens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := b.order(sandbox.TokenVisa).request()
	for pointer, spoil := range map[string]func(*payments.AuthorizeRequest){
		"/order_id":        func(r *payments.AuthorizeRequest) { r.OrderID = "ord_1" },
		"/customer_id":     func(r *payments.AuthorizeRequest) { r.CustomerID = "" },
		"/token":           func(r *payments.AuthorizeRequest) { r.Token = "" },
		"/amount/amount":   func(r *payments.AuthorizeRequest) { r.Amount.Amount = 0 },
		"/amount/currency": func(r *payments.AuthorizeRequest) { r.Amount.Currency = "XXX" },
	} {
		req := good
		spoil(&req)
		_, err := b.svc.Authorize(t.Context(), req)
		require.Equal(t, errs.Invalid, errs.From(err).Kind, pointer)
		require.Equal(t, pointer, errs.From(err).Fields[0].Pointer)
	}
	require.Zero(t, b.network.called("authorize"))
}
