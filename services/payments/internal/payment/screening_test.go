package payment_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func (b *bundle) screen(maintenance bool, limits ...money.Money) {
	b.t.Helper()
	_, err := b.svc.SetFraudSettings(b.t.Context(), limits, maintenance)
	require.NoError(b.t, err)
}

func TestACustomerOverTheLimitIsDeclined(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.screen(false, money.Of(5000, "EUR"))
	first := b.order(sandbox.TokenVisa).authorized()
	next := func(token string) *order {
		o := b.order(token)
		o.customer = first.customer
		return o
	}
	second := next(sandbox.TokenVisa).authorized()

	third := next(sandbox.TokenVisa)
	for range 2 {
		_, err := third.authorize()
		require.ErrorIs(t, err, payments.ErrLimitExceeded)
	}
	third.requireState(payment.Declined)
	require.Equal(t, []string{payments.EventDeclined.Type}, third.events())
	require.Empty(t, third.charges())
	require.Equal(t, int64(2*1999), first.exposure())

	dollars := next(sandbox.TokenVisa)
	dollars.amount.Currency = "USD"
	dollars.authorized()
	b.order(sandbox.TokenVisa).authorized() // Somebody else.

	_, err := next(sandbox.TokenDeclined).authorize()
	require.ErrorIs(t, err, payments.ErrLimitExceeded)
	_, err = second.cancel()
	require.NoError(t, err)
	next(sandbox.TokenVisa).authorized()
}

func TestPaymentsAtTheSameTimeDoNotExceedTheLimitTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.screen(false, money.Of(10*1999, "EUR"))
	orders := make([]*order, 20)
	for i := range orders {
		orders[i] = b.order(sandbox.TokenVisa)
		orders[i].customer = orders[0].customer
	}
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		approved int
	)
	for _, o := range orders {
		wg.Go(func() {
			_, err := o.authorize()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				approved++
			case errs.From(err).Code != payments.ErrLimitExceeded.Code:
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 10, approved)
	require.Equal(t, int64(10*1999), orders[0].exposure())
}

func TestMaintenanceHoldsBackOnlyNewMoney(t *testing.T) {
	t.Parallel()
	b := setup(t)
	taken, held := b.order(sandbox.TokenVisa).authorized(), b.order(sandbox.TokenVisa).authorized()
	failed := b.order(sandbox.TokenProcessingError)
	_, err := failed.authorize()
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)

	b.screen(true)
	fresh := b.order(sandbox.TokenVisa)
	for _, o := range []*order{fresh, failed} {
		_, err = o.authorize()
		require.ErrorIs(t, err, payments.ErrMaintenance)
		// A saga does not wait for ever, so nothing is promised about its order.
		require.Equal(t, "Payments are being maintained. Please try again later.", errs.From(err).Message)
	}
	list, err := b.svc.Payments(t.Context(), payment.Filter{OrderID: fresh.id}, nil, 1)
	require.NoError(t, err)
	require.Empty(t, list, "nothing is recorded")

	taken.authorized() // It is known already.
	_, err = taken.capture()
	require.NoError(t, err)
	_, err = taken.refund("k", 0)
	require.NoError(t, err)
	_, err = held.cancel()
	require.NoError(t, err)

	b.screen(false)
	fresh.authorized()
	failed.authorized()
}

func TestFraudSettingsSayWhoSetThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := caller.With(t.Context(), caller.Caller{Subject: "otto"})
	_, err := b.svc.SetFraudSettings(ctx, []money.Money{money.Of(100, "USD"), money.Of(0, "EUR")}, true)
	require.NoError(t, err)
	got, err := b.svc.FraudSettings(t.Context())
	require.NoError(t, err)
	require.Equal(t, []money.Money{money.Of(0, "EUR"), money.Of(100, "USD")}, got.Limits)
	require.True(t, got.Maintenance)
	require.Equal(t, "otto", got.UpdatedBy)

	for _, bad := range [][]money.Money{{money.Of(1, "EUR"), money.Of(2, "EUR")}, {money.Of(1, "ZZZ")}} {
		_, err = b.svc.SetFraudSettings(ctx, bad, false)
		require.Equal(t, errs.Invalid, errs.From(err).Kind)
	}
	unchanged, err := b.svc.FraudSettings(t.Context())
	require.NoError(t, err)
	require.Equal(t, got, unchanged)
}
