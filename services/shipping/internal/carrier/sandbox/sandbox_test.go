package sandbox_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

const key = "ord_1/1/book"

func parcel(postalCode string) shipment.Parcel {
	return shipment.Parcel{
		OrderID: "ord_1", FulfilmentID: "1", Warehouse: "berlin", Items: []shipping.Item{{SKU: "TEA-1", Quantity: 3}},
		To: shipping.Address{Name: "Ada", Line1: "Street 1", City: "Berlin", PostalCode: postalCode, Country: "DE"},
	}
}

func setup(t *testing.T, slow time.Duration) *sandbox.Carrier {
	t.Helper()
	return sandbox.New(pgtest.New(t, sandbox.Schema), slow)
}

func live(t *testing.T, c *sandbox.Carrier) (n int) {
	t.Helper()
	list, err := c.Bookings(t.Context(), "ord_1")
	require.NoError(t, err)
	for _, b := range list {
		if b.Live() {
			n++
		}
	}
	return n
}

func TestSubmitIsIdempotentByKey(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	tickets := make([]string, 20)
	failures := make([]error, len(tickets))
	var group sync.WaitGroup
	for i := range tickets {
		group.Go(func() { tickets[i], failures[i] = c.Submit(t.Context(), key, parcel("10115")) })
	}
	group.Wait()
	for i := range tickets {
		require.NoError(t, failures[i])
		require.Equal(t, tickets[0], tickets[i])
	}
	require.Equal(t, 1, live(t, c))
	found, ok, err := c.Find(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, tickets[0], found)
	_, ok, err = c.Find(t.Context(), "another")
	require.NoError(t, err)
	require.False(t, ok)
}

func TestPostalCodesDecide(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		stage shipment.Stage
		live  int
	}{
		"10115":               {shipment.Confirmed, 1},
		sandbox.Slow:          {shipment.Pending, 1},
		sandbox.Refuses:       {shipment.Refused, 0},
		sandbox.CancelDown:    {shipment.Confirmed, 1},
		sandbox.FetchedAtOnce: {shipment.Confirmed, 1},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			carrier := setup(t, time.Hour)
			ticket, err := carrier.Submit(t.Context(), key, parcel(code))
			require.NoError(t, err)
			status, err := carrier.Status(t.Context(), ticket)
			require.NoError(t, err)
			require.Equal(t, c.stage, status.Stage)
			require.Equal(t, c.live, live(t, carrier))
			require.Equal(t, c.stage == shipment.Confirmed, status.TrackingNumber != "")
			require.Equal(t, c.stage == shipment.Refused, status.Refusal.Code != "")
		})
	}
}

func TestSlowIsConfirmedInTheEnd(t *testing.T) {
	t.Parallel()
	c := setup(t, 50*time.Millisecond)
	ticket, err := c.Submit(t.Context(), key, parcel(sandbox.Slow))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status, err := c.Status(t.Context(), ticket)
		return err == nil && status.Stage == shipment.Confirmed
	}, 10*time.Second, 5*time.Millisecond)
}

func TestDownForEverBooksNothing(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	for range 4 {
		_, err := c.Submit(t.Context(), key, parcel(sandbox.Down))
		require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	}
	require.Zero(t, live(t, c))
}

func TestDownTwiceThenBooks(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	for range 2 {
		_, err := c.Submit(t.Context(), key, parcel(sandbox.DownTwice))
		require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	}
	_, err := c.Submit(t.Context(), key, parcel(sandbox.DownTwice))
	require.NoError(t, err)
}

func TestFirstAnswerIsLostAlthoughTheParcelIsBooked(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := c.Submit(ctx, key, parcel(sandbox.AnswerLost))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1, live(t, c))
	_, err = c.Submit(t.Context(), key, parcel(sandbox.AnswerLost))
	require.NoError(t, err)
	require.Equal(t, 1, live(t, c))
}

func TestCancelIsIdempotent(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	ticket, err := c.Submit(t.Context(), key, parcel("10115"))
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, c.Cancel(t.Context(), ticket))
	}
	status, err := c.Status(t.Context(), ticket)
	require.NoError(t, err)
	require.Equal(t, shipment.Withdrawn, status.Stage)
	again, err := c.Submit(t.Context(), key, parcel("10115"))
	require.NoError(t, err)
	require.Equal(t, ticket, again, "a key that was called off is not booked anew")
	require.Zero(t, live(t, c))
}

func TestCancelFailsDuringTheOutage(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	ticket, err := c.Submit(t.Context(), key, parcel(sandbox.CancelDown))
	require.NoError(t, err)
	down, err := c.Outage(t.Context())
	require.NoError(t, err)
	require.True(t, down)
	require.ErrorIs(t, c.Cancel(t.Context(), ticket), shipping.ErrCarrierUnavailable)
	require.NoError(t, c.SetOutage(t.Context(), false))
	require.NoError(t, c.Cancel(t.Context(), ticket))
}

func TestCancelOfAFetchedParcelIsRefused(t *testing.T) {
	t.Parallel()
	c := setup(t, 0)
	ticket, err := c.Submit(t.Context(), key, parcel(sandbox.FetchedAtOnce))
	require.NoError(t, err)
	require.ErrorIs(t, c.Cancel(t.Context(), ticket), shipping.ErrDispatched)
	require.Equal(t, 1, live(t, c))
}

func TestQuote(t *testing.T) {
	t.Parallel()
	c := setup(t, 12*time.Second)
	q, err := c.Quote(t.Context(), parcel("10115"))
	require.NoError(t, err)
	require.Equal(t, shipment.Quote{Carrier: "sandbox", Service: "standard", Price: money.Of(520, "EUR")}, q)
	q, err = c.Quote(t.Context(), parcel(sandbox.Slow))
	require.NoError(t, err)
	require.Equal(t, 12*time.Second, q.ReadyIn)
	abroad := parcel("10115")
	abroad.To.Country = "FR"
	q, err = c.Quote(t.Context(), abroad)
	require.NoError(t, err)
	require.Equal(t, money.Of(1020, "EUR"), q.Price)
	_, err = c.Quote(t.Context(), parcel(sandbox.Refuses))
	require.ErrorIs(t, err, shipping.ErrAddressRefused)
	_, err = c.Quote(t.Context(), parcel(sandbox.Down))
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
}
