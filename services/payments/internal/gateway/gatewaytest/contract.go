// Package gatewaytest holds what every adapter to a payment provider must do, whichever the provider is.
package gatewaytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// Call returns a call that authorizes EUR 19.99 for a new order by one of Stripe's test payment methods.
func Call(token string) payment.AuthorizeCall {
	order := id.New(id.Order)
	return payment.AuthorizeCall{
		ChargeRef: payment.ChargeRef{Key: order + "/authorize", Attempt: 1, Since: time.Now()},
		OrderID:   order, Amount: money.Of(1999, "EUR"), Token: token,
	}
}

// Run checks a gateway that behaves by token as Stripe's test payment methods do.
func Run(t *testing.T, gateway payment.Gateway) {
	t.Helper()
	t.Run("a charge is authorized and captured once", func(t *testing.T) {
		t.Parallel()
		call := Call("pm_card_visa")
		_, err := gateway.Find(t.Context(), call.ChargeRef)
		require.ErrorIs(t, err, payment.ErrNoCharge)
		first := authorize(t, gateway, call)
		require.Equal(t, payment.StatusAuthorized, first.Status)
		require.NotEmpty(t, first.Reference)
		require.Equal(t, first.Reference, authorize(t, gateway, call).Reference, "the key makes it idempotent")

		for range 2 {
			taken, err := gateway.Capture(t.Context(), known(call, first))
			require.NoError(t, err)
			require.Equal(t, payment.StatusCaptured, taken.Status)
		}
		require.Equal(t, payment.StatusCaptured, find(t, gateway, call.ChargeRef).Status)
	})
	t.Run("a charge is found by its key alone", func(t *testing.T) {
		t.Parallel()
		call := Call("pm_card_mastercard")
		made := authorize(t, gateway, call)
		require.Equal(t, made.Reference, find(t, gateway, call.ChargeRef).Reference)
		voided, err := gateway.Void(t.Context(), call.ChargeRef)
		require.NoError(t, err)
		require.Equal(t, payment.StatusVoided, voided.Status)
	})
	t.Run("a charge is voided or captured, never both", func(t *testing.T) {
		t.Parallel()
		voided, captured := Call("pm_card_visa"), Call("pm_card_visa")
		ref := known(voided, authorize(t, gateway, voided))
		_, err := gateway.Void(t.Context(), ref)
		require.NoError(t, err)
		late, err := gateway.Capture(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, payment.StatusVoided, late.Status)

		ref = known(captured, authorize(t, gateway, captured))
		_, err = gateway.Capture(t.Context(), ref)
		require.NoError(t, err)
		late, err = gateway.Void(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, payment.StatusCaptured, late.Status)
	})
	t.Run("what the issuer declines stays declined", func(t *testing.T) {
		t.Parallel()
		for token, want := range map[string]*errs.Error{
			"pm_card_chargeDeclined":                  payments.ErrDeclined,
			"pm_card_chargeDeclinedInsufficientFunds": payments.ErrInsufficientFunds,
			"pm_card_chargeDeclinedFraudulent":        payments.ErrFraudSuspected,
			"pm_card_nobodyKnows":                     payments.ErrDeclined,
		} {
			call := Call(token)
			for range 2 {
				c := authorize(t, gateway, call)
				require.Equal(t, payment.StatusDeclined, c.Status, token)
				require.ErrorIs(t, c.Decline, want, token)
			}
		}
	})
	t.Run("another attempt cures a processing error", func(t *testing.T) {
		t.Parallel()
		call := Call("pm_card_chargeDeclinedProcessingError")
		_, err := gateway.Authorize(t.Context(), call)
		require.ErrorIs(t, err, payment.ErrProcessing)
		_, err = gateway.Find(t.Context(), call.ChargeRef)
		require.ErrorIs(t, err, payment.ErrNoCharge)
		call.Attempt++
		require.Equal(t, payment.StatusAuthorized, authorize(t, gateway, call).Status)
	})
	t.Run("refunds are made once by key and never exceed what was captured", func(t *testing.T) {
		t.Parallel()
		call := Call("pm_card_visa")
		ref := known(call, authorize(t, gateway, call))
		refund := payment.RefundCall{
			Charge: ref, Key: call.OrderID + "/refund/1", Amount: money.Of(1500, "EUR"), Reason: "r",
		}
		require.Equal(t, errs.Declined, errs.From(gateway.Refund(t.Context(), refund)).Kind, "nothing is captured yet")
		_, err := gateway.Capture(t.Context(), ref)
		require.NoError(t, err)

		refund.Key = call.OrderID + "/refund/2"
		require.NoError(t, gateway.Refund(t.Context(), refund))
		require.NoError(t, gateway.Refund(t.Context(), refund))
		refund.Key = call.OrderID + "/refund/3"
		require.ErrorIs(t, gateway.Refund(t.Context(), refund), payment.ErrRefundRefused)
		require.Equal(t, map[string]int64{call.OrderID + "/refund/2": 1500}, find(t, gateway, ref).Refunds)
	})
	t.Run("there is nothing to do about a charge that is not there", func(t *testing.T) {
		t.Parallel()
		ref := Call("pm_card_visa").ChargeRef
		_, err := gateway.Capture(t.Context(), ref)
		require.ErrorIs(t, err, payment.ErrNoCharge)
		_, err = gateway.Void(t.Context(), ref)
		require.ErrorIs(t, err, payment.ErrNoCharge)
		err = gateway.Refund(t.Context(), payment.RefundCall{Charge: ref, Key: "k", Amount: money.Of(1, "EUR")})
		require.ErrorIs(t, err, payment.ErrNoCharge)
	})
}

func known(call payment.AuthorizeCall, c payment.Charge) payment.ChargeRef {
	ref := call.ChargeRef
	ref.Reference = c.Reference
	return ref
}

func authorize(t *testing.T, gateway payment.Gateway, call payment.AuthorizeCall) payment.Charge {
	t.Helper()
	c, err := gateway.Authorize(t.Context(), call)
	require.NoError(t, err)
	return c
}

func find(t *testing.T, gateway payment.Gateway, ref payment.ChargeRef) payment.Charge {
	t.Helper()
	c, err := gateway.Find(t.Context(), ref)
	require.NoError(t, err)
	return c
}
