package shipment_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

func withKey(ctx context.Context, key, fingerprint string) context.Context {
	return idempotency.WithRequest(ctx, idempotency.Request{
		Caller: "operator", Key: key, Fingerprint: []byte(fingerprint),
	})
}

func TestBookByHandIsFinishedByRecover(t *testing.T) {
	t.Parallel()
	b, req := setup(t, func(s *settings) { s.slow, s.timing.ByHand = time.Second, 50*time.Millisecond }), request(sandbox.Slow)
	sh, err := b.BookByHand(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, shipment.Booking, sh.State)
	require.Eventually(t, func() bool {
		require.NoError(t, b.RecoverNow(t.Context()))
		return b.only(t, req).State == shipment.Booked
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, b.live(t, req.OrderID))
}

func TestBookByHandWithTheSameKeyGoesOn(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.DownTwice)
	ctx := withKey(t.Context(), "k", "a")
	for range 2 {
		sh, err := b.BookByHand(ctx, req)
		require.NoError(t, err)
		require.Equal(t, shipment.Booking, sh.State)
	}
	sh, err := b.BookByHand(ctx, req)
	require.NoError(t, err)
	require.Equal(t, shipment.Booked, sh.State)
	_, err = b.BookByHand(withKey(t.Context(), "k", "b"), req)
	require.ErrorIs(t, err, idempotency.ErrReused)
}

func TestRecoverLeavesTheBookingsOfSagasAlone(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.DownTwice)
	_, err := b.book(t, req)
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	require.NoError(t, b.RecoverNow(t.Context()))
	require.EqualValues(t, 1, b.line.submits.Load())
}

func TestRecoverFinishesACancellation(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.CancelDown)
	sh, err := b.BookByHand(t.Context(), req)
	require.NoError(t, err)
	_, err = b.CancelByHand(t.Context(), sh.ID)
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	require.NoError(t, b.books.SetOutage(t.Context(), false))
	require.NoError(t, b.RecoverNow(t.Context()))
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
	sh, err = b.CancelByHand(t.Context(), sh.ID)
	require.NoError(t, err)
	require.Equal(t, shipment.Cancelled, sh.State)
}

func TestCancelByHandOfNothing(t *testing.T) {
	t.Parallel()
	_, err := setup(t).CancelByHand(t.Context(), "shp_nothing")
	require.ErrorIs(t, err, shipping.ErrShipmentNotFound)
}

func TestRecoverEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.Recover(ctx))
}
