package gateway_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// scripted is a provider that answers every call in the same way.
type scripted struct {
	payment.Gateway

	charge payment.Charge
	err    error
	calls  int
}

func (s *scripted) Authorize(context.Context, payment.AuthorizeCall) (payment.Charge, error) {
	s.calls++
	return s.charge, s.err
}

func (s *scripted) Void(context.Context, payment.ChargeRef) (payment.Charge, error) {
	return s.charge, nil
}

func TestAProviderThatKeepsFailingIsLeftAlone(t *testing.T) {
	t.Parallel()
	provider := &scripted{err: errors.New("connection reset")}
	registry := prometheus.NewRegistry()
	guarded := gateway.Guard(provider, registry)
	for range 50 {
		_, err := guarded.Authorize(t.Context(), payment.AuthorizeCall{})
		require.Error(t, err)
	}
	require.Equal(t, 20, provider.calls)
	_, err := guarded.Authorize(t.Context(), payment.AuthorizeCall{})
	require.ErrorIs(t, err, payments.ErrProviderUnavailable, "nothing has happened")
	_, err = guarded.Void(t.Context(), payment.ChargeRef{})
	require.NoError(t, err, "other operations go on")

	n, err := testutil.GatherAndCount(registry, "payments_gateway_breaker_open", "payments_gateway_call_seconds")
	require.NoError(t, err)
	require.Equal(t, 5+3, n)
}

func TestDeclinesDoNotCountAgainstTheProvider(t *testing.T) {
	t.Parallel()
	for name, provider := range map[string]*scripted{
		"declined charge": {charge: payment.Charge{Status: payment.StatusDeclined}},
		"refused":         {err: payments.ErrCaptureRefused},
		"not there":       {err: payment.ErrNoCharge},
	} {
		guarded := gateway.Guard(provider, prometheus.NewRegistry())
		for range 50 {
			_, err := guarded.Authorize(t.Context(), payment.AuthorizeCall{})
			require.ErrorIs(t, err, provider.err)
		}
		require.Equal(t, 50, provider.calls, name)
	}
}
