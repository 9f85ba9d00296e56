package sandbox_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/gatewaytest"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) *sandbox.Gateway {
	t.Helper()
	return sandbox.New(pgtest.New(t, sandbox.Migrations))
}

func TestTheSandboxIsAGateway(t *testing.T) {
	t.Parallel()
	gatewaytest.Run(t, setup(t))
}

// impatient gives up soon.
func impatient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	sb := setup(t)
	for token, there := range map[string]bool{sandbox.TokenTimeout: true, sandbox.TokenTimeoutNotCharged: false} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			call := gatewaytest.Call(token)
			_, err := sb.Authorize(impatient(t), call)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = sb.Find(t.Context(), call.ChargeRef)
			require.Equal(t, there, !errors.Is(err, payment.ErrNoCharge))
			again, err := sb.Authorize(t.Context(), call)
			require.NoError(t, err)
			require.Equal(t, payment.StatusAuthorized, again.Status)
		})
	}
	t.Run(sandbox.TokenCaptureTimeout, func(t *testing.T) {
		t.Parallel()
		call := gatewaytest.Call(sandbox.TokenCaptureTimeout)
		_, err := sb.Authorize(t.Context(), call)
		require.NoError(t, err)
		_, err = sb.Capture(impatient(t), call.ChargeRef)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		found, err := sb.Find(t.Context(), call.ChargeRef)
		require.NoError(t, err)
		require.Equal(t, payment.StatusCaptured, found.Status)
		_, err = sb.Capture(t.Context(), call.ChargeRef)
		require.NoError(t, err)
	})
}

func TestASlowChargeIsApprovedInTheEnd(t *testing.T) {
	t.Parallel()
	start := time.Now()
	c, err := setup(t).Authorize(t.Context(), gatewaytest.Call(sandbox.TokenSlow))
	require.NoError(t, err)
	require.Equal(t, payment.StatusAuthorized, c.Status)
	require.GreaterOrEqual(t, time.Since(start), sandbox.Slowness)
}

func TestARefusedCaptureCanStillBeVoided(t *testing.T) {
	t.Parallel()
	sb, call := setup(t), gatewaytest.Call(sandbox.TokenCaptureRefused)
	_, err := sb.Authorize(t.Context(), call)
	require.NoError(t, err)
	_, err = sb.Capture(t.Context(), call.ChargeRef)
	require.ErrorIs(t, err, payments.ErrCaptureRefused)
	c, err := sb.Void(t.Context(), call.ChargeRef)
	require.NoError(t, err)
	require.Equal(t, payment.StatusVoided, c.Status)
}

func TestAnOutageOfVoidsLastsUntilItIsEnded(t *testing.T) {
	t.Parallel()
	sb, call := setup(t), gatewaytest.Call(sandbox.TokenVoidDown)
	_, err := sb.Authorize(t.Context(), call)
	require.NoError(t, err)
	down, err := sb.VoidOutage(t.Context())
	require.NoError(t, err)
	require.True(t, down)
	_, err = sb.Void(t.Context(), call.ChargeRef)
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)

	require.NoError(t, sb.SetVoidOutage(t.Context(), false))
	c, err := sb.Void(t.Context(), call.ChargeRef)
	require.NoError(t, err)
	require.Equal(t, payment.StatusVoided, c.Status)
}

func TestCallsWithOneKeyAtTheSameTimeMakeOneCharge(t *testing.T) {
	t.Parallel()
	sb, call := setup(t), gatewaytest.Call(sandbox.TokenVisa)
	references := make([]string, 20)
	var wg sync.WaitGroup
	for i := range references {
		wg.Go(func() {
			c, err := sb.Authorize(t.Context(), call)
			if err != nil {
				t.Error(err)
			}
			references[i] = c.Reference
		})
	}
	wg.Wait()
	for _, r := range references {
		require.Equal(t, references[0], r)
	}
	list, err := sb.Charges(t.Context(), call.OrderID, nil, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestTheBooksAreReadInPages(t *testing.T) {
	t.Parallel()
	sb := setup(t)
	for range 5 {
		_, err := sb.Authorize(t.Context(), gatewaytest.Call(sandbox.TokenVisa))
		require.NoError(t, err)
	}
	seen := map[string]bool{}
	var after *page.Position
	for pages := 0; ; pages++ {
		list, err := sb.Charges(t.Context(), "", after, 2)
		require.NoError(t, err)
		if len(list) == 0 {
			break
		}
		for _, c := range list {
			require.False(t, seen[c.Key], "%s comes twice", c.Key)
			seen[c.Key] = true
			after = &page.Position{Time: c.CreatedAt, ID: c.Reference}
		}
	}
	require.Len(t, seen, 5)
}
