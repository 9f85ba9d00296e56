package carrier_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

// answering is a carrier that answers everything the same.
type answering struct {
	calls int
	err   error
	hang  bool
}

func (a *answering) answer(ctx context.Context) error {
	a.calls++
	if a.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return a.err
}

func (a *answering) Quote(ctx context.Context, _ shipment.Parcel) (shipment.Quote, error) {
	return shipment.Quote{}, a.answer(ctx)
}

func (a *answering) Submit(ctx context.Context, _ string, _ shipment.Parcel) (string, error) {
	return "ticket", a.answer(ctx)
}

func (a *answering) Status(ctx context.Context, _ string) (shipment.Status, error) {
	return shipment.Status{}, a.answer(ctx)
}

func (a *answering) Cancel(ctx context.Context, _ string) error { return a.answer(ctx) }

func (a *answering) Find(ctx context.Context, _ string) (string, bool, error) {
	return "ticket", true, a.answer(ctx)
}

func TestOutagesOpenTheBreaker(t *testing.T) {
	t.Parallel()
	down := &answering{err: shipping.ErrCarrierUnavailable}
	g := carrier.NewGuard(down, time.Second, prometheus.NewRegistry())
	for range 30 {
		_, err := g.Submit(t.Context(), "key", shipment.Parcel{})
		require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	}
	require.Equal(t, 20, down.calls, "then it is left alone for a while")
}

func TestRefusalsAndGoneCallersDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{shipping.ErrAddressRefused, shipping.ErrDispatched, context.Canceled} {
		c := &answering{err: failure}
		g := carrier.NewGuard(c, time.Second, prometheus.NewRegistry())
		for range 30 {
			require.ErrorIs(t, g.Cancel(t.Context(), "ticket"), failure)
		}
		require.Equal(t, 30, c.calls)
	}
}

func TestAFewBadParcelsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	c := &answering{}
	g := carrier.NewGuard(c, time.Second, prometheus.NewRegistry())
	for i := range 40 {
		c.err = nil
		if i%2 == 0 {
			c.err = shipping.ErrCarrierUnavailable
		}
		_, err := g.Status(t.Context(), "ticket")
		require.ErrorIs(t, err, c.err)
	}
	require.Equal(t, 40, c.calls)
}

func TestCallsThatHangEnd(t *testing.T) {
	t.Parallel()
	g := carrier.NewGuard(&answering{hang: true}, 10*time.Millisecond, prometheus.NewRegistry())
	_, err := g.Submit(t.Context(), "key", shipment.Parcel{})
	require.ErrorIs(t, err, shipping.ErrOutcomeUnknown, "it may have been booked")
	require.ErrorIs(t, g.Cancel(t.Context(), "ticket"), shipping.ErrOutcomeUnknown)
	_, _, err = g.Find(t.Context(), "key")
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable, "a question changes nothing")
	_, err = g.Quote(t.Context(), shipment.Parcel{})
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestFailedCallsReturnNothing(t *testing.T) {
	t.Parallel()
	g := carrier.NewGuard(&answering{err: shipping.ErrCarrierUnavailable}, time.Second, prometheus.NewRegistry())
	ticket, found, err := g.Find(t.Context(), "key")
	require.Error(t, err)
	require.Empty(t, ticket)
	require.False(t, found)
}
