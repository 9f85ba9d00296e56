package order_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

func observation(orderID, what string) order.Observation {
	return order.Observation{
		OrderID: orderID, EventID: id.New(id.Event), Type: what, At: time.Now(), Message: "Something happened.",
	}
}

func TestTheStatusDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	for name, c := range map[string]struct {
		payments    []order.PaymentStatus
		fulfilments []order.FulfilmentStatus
		payment     order.PaymentStatus
		fulfilment  order.FulfilmentStatus
	}{
		"confirmed": {
			[]order.PaymentStatus{order.PaymentUnknown, order.PaymentAuthorized, order.PaymentCaptured},
			[]order.FulfilmentStatus{order.FulfilmentReserved, order.FulfilmentBooked, order.FulfilmentBooked, order.FulfilmentCommitted},
			order.PaymentCaptured, order.FulfilmentCommitted,
		},
		"undone": {
			[]order.PaymentStatus{order.PaymentAuthorized, order.PaymentVoided},
			[]order.FulfilmentStatus{
				order.FulfilmentReserved, order.FulfilmentBooked, order.FulfilmentCancelled, order.FulfilmentReleased,
			},
			order.PaymentVoided, order.FulfilmentReleased,
		},
		"paid back": {
			[]order.PaymentStatus{
				order.PaymentAuthorized, order.PaymentCaptured, order.PaymentPartiallyRefunded, order.PaymentRefunded,
			}, nil, order.PaymentRefunded, order.FulfilmentNone,
		},
		"declined after doubt": {
			[]order.PaymentStatus{order.PaymentUnknown, order.PaymentDeclined}, nil, order.PaymentDeclined, order.FulfilmentNone,
		},
	} {
		for range 10 {
			o := b.place(ctx, t)
			var all []order.Observation
			for _, p := range c.payments {
				told := observation(o.ID, "payment."+string(p))
				told.Payment = p
				all = append(all, told, told) // Everything comes twice.
			}
			for _, f := range c.fulfilments {
				told := observation(o.ID, "goods."+string(f))
				told.Fulfilment = f
				all = append(all, told, told)
			}
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			var wg sync.WaitGroup
			for _, told := range all {
				wg.Go(func() {
					if _, err := b.Observe(ctx, told); err != nil {
						t.Errorf("observe: %v", err)
					}
				})
			}
			wg.Wait()
			got, err := b.Get(ctx, o.ID)
			require.NoError(t, err)
			require.Equal(t, c.payment, got.Payment, name)
			require.Equal(t, c.fulfilment, got.Fulfilment, name)
			require.Equal(t, order.Pending, got.Status)
			require.Len(t, b.told(ctx, t, o.ID), 1+len(all)/2, "each event is told once")
		}
	}
}

func TestAnEventIsToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	told := observation(o.ID, "payment.authorized")
	added, err := b.Observe(ctx, told)
	require.NoError(t, err)
	require.True(t, added)
	added, err = b.Observe(ctx, told)
	require.NoError(t, err)
	require.False(t, added)
}

func TestEventsOfUnknownOrdersAreDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	added, err := b.Observe(t.Context(), observation(id.New(id.Order), "shipment.booked"))
	require.NoError(t, err)
	require.False(t, added)
	require.Zero(t, b.count(t, `SELECT count(*) FROM order_events`))
}

func TestAnObservationSaysNothingAboutWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	_, err := b.Observe(ctx, observation(o.ID, "reservation.expired"))
	require.NoError(t, err)
	got, err := b.Get(ctx, o.ID)
	require.NoError(t, err)
	require.Equal(t, order.PaymentNone, got.Payment)
	require.Equal(t, order.FulfilmentNone, got.Fulfilment)
}
