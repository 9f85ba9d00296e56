package stripe_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/gatewaytest"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/stripe"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestStripeIsAGateway(t *testing.T) {
	t.Parallel()
	gatewaytest.Run(t, stripe.New("sk_test_1", serve(t).URL))
}

func TestAnIntentIsConfirmedAtOnceAndCapturedLater(t *testing.T) {
	t.Parallel()
	s := serve(t)
	call := gatewaytest.Call("pm_card_visa")
	_, err := stripe.New("sk_test_1", s.URL).Authorize(t.Context(), call)
	require.NoError(t, err)

	r := s.requests[0]
	require.Equal(t, "Bearer sk_test_1", r.Header.Get("Authorization"))
	require.Equal(t, call.Key+"#1", r.Header.Get("Idempotency-Key"))
	for name, want := range map[string]string{
		"amount": "1999", "currency": "eur", "capture_method": "manual", "confirm": "true",
		"payment_method": "pm_card_visa", "error_on_requires_action": "true",
		"metadata[orderflow_order]": call.OrderID, "metadata[orderflow_key]": call.Key + "#1",
	} {
		require.Equal(t, want, r.Form.Get(name), name)
	}
}

// What an error means for the question whether money may have moved.
func TestErrorsSayWhetherAnythingCanHaveHappened(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	status := func(code int, kind string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(`{"error":{"type":"` + kind + `","message":"no"}}`))
		}
	}
	for name, test := range map[string]struct {
		broken func(http.ResponseWriter, *http.Request)
		want   errs.Kind
	}{
		"cut off":              {cut, errs.OutcomeUnknown},
		"server error":         {status(500, "api_error"), errs.OutcomeUnknown},
		"same key is running":  {status(409, "idempotency_error"), errs.OutcomeUnknown},
		"same key, other body": {status(400, "idempotency_error"), errs.OutcomeUnknown},
		"too many requests":    {status(429, "rate_limit"), errs.Unavailable},
		"wrong API key":        {status(401, "invalid_request_error"), errs.Unavailable},
		"not JSON": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>"))
		}, errs.OutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			gateway := stripe.New("sk_test_1", s.URL)
			call := gatewaytest.Call("pm_card_visa")
			made, err := gateway.Authorize(t.Context(), call)
			require.NoError(t, err)
			call.Reference = made.Reference
			s.mu.Lock()
			s.broken = test.broken
			s.mu.Unlock()

			_, err = gateway.Authorize(t.Context(), call)
			require.Equal(t, test.want, errs.From(err).Kind, "authorize: %v", err)
			_, err = gateway.Capture(t.Context(), call.ChargeRef)
			require.Equal(t, test.want, errs.From(err).Kind, "capture: %v", err)
			_, err = gateway.Void(t.Context(), call.ChargeRef)
			require.Equal(t, test.want, errs.From(err).Kind, "void: %v", err)
			err = gateway.Refund(t.Context(), payment.RefundCall{Charge: call.ChargeRef, Key: "k", Amount: call.Amount})
			require.Equal(t, test.want, errs.From(err).Kind, "refund: %v", err)
			call.Reference = ""
			_, err = gateway.Find(t.Context(), call.ChargeRef)
			require.True(t, errs.From(err).Kind.Retryable(), "find: %v", err)
			require.NotErrorIs(t, err, payment.ErrNoCharge)
		})
	}
}

func TestAProviderThatCannotBeReachedHasDoneNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.Close()
	_, err := stripe.New("sk_test_1", s.URL).Authorize(t.Context(), gatewaytest.Call("pm_card_visa"))
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
}

func TestAnAnswerThatTakesTooLongIsUnknown(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.broken = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := stripe.New("sk_test_1", s.URL).Authorize(ctx, gatewaytest.Call("pm_card_visa"))
	require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
}

func TestARefusedCaptureIsFinal(t *testing.T) {
	t.Parallel()
	s := serve(t)
	gateway := stripe.New("sk_test_1", s.URL)
	call := gatewaytest.Call("pm_card_visa")
	made, err := gateway.Authorize(t.Context(), call)
	require.NoError(t, err)
	call.Reference = made.Reference
	s.broken = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":{"type":"invalid_request_error","code":"charge_expired_for_capture","message":"no"}}`))
	}
	_, err = gateway.Capture(t.Context(), call.ChargeRef)
	require.ErrorIs(t, err, payments.ErrCaptureRefused)
}
