package projection_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/projection"
	"github.com/orderflow/orderflow/services/orders/internal/store"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

type bundle struct {
	ctx     context.Context
	service *order.Service
	orderID string
	handle  func(context.Context, cloudevents.Event) error
	all     []eventbus.Consumer
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	keys, err := seal.ParseKeyring(seal.NewKey("test"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	board := endings.NewBoard(order.Settled(pool), log)
	service := order.NewService(pool, keys, board, order.NewMetrics(prometheus.NewRegistry()), func() {})
	ctx := caller.With(t.Context(), caller.Caller{Subject: "shop"})
	placed, _, err := service.Place(ctx, orders.Order{
		CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok",
		Lines: []orders.Line{{SKU: "MUG-1", Quantity: 1, UnitPrice: 100}},
		ShippingAddress: orders.Address{
			Name: "Ada", Line1: "Square 12", City: "London", PostalCode: "SW1Y 4JH", Country: "GB",
		},
	})
	require.NoError(t, err)
	all := projection.Consumers(service, eventbus.NewMetrics(nil), log)
	return bundle{ctx: ctx, service: service, orderID: placed.ID, handle: all[0].Handle, all: all}
}

func (b bundle) last(t *testing.T) (order.Order, order.Entry) {
	t.Helper()
	o, err := b.service.Get(b.ctx, b.orderID)
	require.NoError(t, err)
	timeline, err := b.service.Timeline(b.ctx, b.orderID, "", 100)
	require.NoError(t, err)
	return o, timeline.Entries[len(timeline.Entries)-1]
}

func event[T any](t *testing.T, e contract.Event[T], orderID string, data T) cloudevents.Event {
	t.Helper()
	ev, err := e.New(orderID, time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), data)
	require.NoError(t, err)
	return ev
}

func TestEveryEventHasItsEntryAndItsStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	paid := func(captured, refunded int64) payments.Changed {
		return payments.Changed{
			PaymentID: "pay_1", OrderID: b.orderID, Amount: money.Of(100, "EUR"), Captured: captured, Refunded: refunded,
			Code: "insufficient_funds", Message: "There is not enough money.",
		}
	}
	reserved := inventory.ReservationChanged{ReservationID: "rsv_1", OrderID: b.orderID}
	shipped := shipping.Changed{
		ShipmentID: "shp_1", OrderID: b.orderID, FulfilmentID: "1", Carrier: "sandbox", TrackingNumber: "T1",
		Code: "address_refused", Message: "The carrier does not deliver there.",
	}
	// Each status follows from those before, so this is one order's way through everything.
	for _, c := range []struct {
		event      cloudevents.Event
		entry      string
		code       string
		data       string
		payment    order.PaymentStatus
		fulfilment order.FulfilmentStatus
	}{
		{
			event(t, inventory.EventHeld, b.orderID, reserved), "reservation.held", "",
			`{"reservation_id":"rsv_1"}`, order.PaymentNone, order.FulfilmentReserved,
		},
		{
			event(t, payments.EventOutcomeUnknown, b.orderID, paid(0, 0)), "payment.outcome_unknown", "",
			`{"payment_id":"pay_1","amount":{"amount":100,"currency":"EUR"}}`, order.PaymentUnknown, order.FulfilmentReserved,
		},
		{
			event(t, payments.EventAuthorized, b.orderID, paid(0, 0)), "payment.authorized", "",
			`{"payment_id":"pay_1","amount":{"amount":100,"currency":"EUR"}}`, order.PaymentAuthorized, order.FulfilmentReserved,
		},
		{
			event(t, shipping.EventRefused, b.orderID, shipped), "shipment.refused", "address_refused",
			`{"shipment_id":"shp_1","fulfilment_id":"1"}`, order.PaymentAuthorized, order.FulfilmentReserved,
		},
		{
			event(t, shipping.EventBooked, b.orderID, shipped), "shipment.booked", "",
			`{"shipment_id":"shp_1","fulfilment_id":"1","carrier":"sandbox","tracking_number":"T1"}`,
			order.PaymentAuthorized, order.FulfilmentBooked,
		},
		{
			event(t, shipping.EventCancelled, b.orderID, shipped), "shipment.cancelled", "",
			`{"shipment_id":"shp_1","fulfilment_id":"1"}`, order.PaymentAuthorized, order.FulfilmentCancelled,
		},
		{
			event(t, payments.EventCaptured, b.orderID, paid(100, 0)), "payment.captured", "",
			`{"payment_id":"pay_1","amount":{"amount":100,"currency":"EUR"}}`, order.PaymentCaptured, order.FulfilmentCancelled,
		},
		{
			event(t, inventory.EventCommitted, b.orderID, reserved), "reservation.committed", "",
			`{"reservation_id":"rsv_1"}`, order.PaymentCaptured, order.FulfilmentCommitted,
		},
		{
			event(t, inventory.EventExpired, b.orderID, reserved), "reservation.expired", "",
			`{"reservation_id":"rsv_1"}`, order.PaymentCaptured, order.FulfilmentCommitted,
		},
		{
			event(t, inventory.EventReleased, b.orderID, reserved), "reservation.released", "",
			`{"reservation_id":"rsv_1"}`, order.PaymentCaptured, order.FulfilmentReleased,
		},
		{
			event(t, payments.EventRefunded, b.orderID, paid(100, 40)), "payment.refunded", "",
			`{"payment_id":"pay_1","amount":{"amount":100,"currency":"EUR"},"refunded":{"amount":40,"currency":"EUR"}}`,
			order.PaymentPartiallyRefunded, order.FulfilmentReleased,
		},
		{
			event(t, payments.EventRefunded, b.orderID, paid(100, 100)), "payment.refunded", "",
			`{"payment_id":"pay_1","amount":{"amount":100,"currency":"EUR"},"refunded":{"amount":100,"currency":"EUR"}}`,
			order.PaymentRefunded, order.FulfilmentReleased,
		},
	} {
		require.NoError(t, b.handle(b.ctx, c.event))
		o, entry := b.last(t)
		require.Equal(t, c.entry, entry.Type)
		require.Equal(t, c.code, entry.Code, c.entry)
		require.JSONEq(t, c.data, string(entry.Data))
		require.NotEmpty(t, entry.Message)
		require.True(t, entry.At.Equal(c.event.Time()))
		require.Equal(t, c.payment, o.Payment, c.entry)
		require.Equal(t, c.fulfilment, o.Fulfilment, c.entry)
		require.Equal(t, order.Pending, o.Status, "what others do does not move the order")
	}
}

func TestADeclinedPaymentTellsWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	declined := payments.Changed{OrderID: b.orderID, Code: "insufficient_funds", Message: "There is not enough money."}
	require.NoError(t, b.handle(b.ctx, event(t, payments.EventDeclined, b.orderID, declined)))
	o, entry := b.last(t)
	require.Equal(t, order.PaymentDeclined, o.Payment)
	require.Equal(t, "insufficient_funds", entry.Code)
	require.Equal(t, "There is not enough money.", entry.Message)

	require.NoError(t, b.handle(b.ctx, event(t, payments.EventVoided, b.orderID, declined)))
	o, _ = b.last(t)
	require.Equal(t, order.PaymentDeclined, o.Payment, "the undo of a declined payment changes nothing")
}

func TestEventsOfNoOrderOrOfNoKnownTypeArePassedOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stranger := id.New(id.Order)
	require.NoError(t, b.handle(b.ctx, event(t, shipping.EventBooked, stranger, shipping.Changed{OrderID: stranger})))
	newer := event(t, contract.Event[string]{Type: "payments.payment.pondered.v1"}, b.orderID, "?")
	require.NoError(t, b.handle(b.ctx, newer))
	_, entry := b.last(t)
	require.Equal(t, order.EntryPlaced, entry.Type)
}

func TestAnEventThatCannotBeReadIsFinal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := event(t, contract.Event[string]{Type: payments.EventCaptured.Type}, b.orderID, "not an object")
	err := b.handle(b.ctx, bad)
	require.Error(t, err)
	require.False(t, errs.From(err).Kind.Retryable())
}

func TestConsumersFollowTheStreams(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bus := natstest.Start(t)
	js := bus.JetStream()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, len(b.all))
	for _, consumer := range b.all {
		go func() { ended <- eventbus.Consume(ctx, js, slog.New(slog.DiscardHandler), consumer) }()
	}
	for _, s := range []contract.Stream{payments.Stream, inventory.Stream, shipping.Stream} {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects})
		require.NoError(t, err)
	}
	events := []cloudevents.Event{
		event(t, payments.EventCaptured, b.orderID, payments.Changed{OrderID: b.orderID}),
		event(t, payments.EventAuthorized, b.orderID, payments.Changed{OrderID: b.orderID}),
		event(t, inventory.EventCommitted, b.orderID, inventory.ReservationChanged{OrderID: b.orderID}),
		event(t, shipping.EventBooked, b.orderID, shipping.Changed{OrderID: b.orderID}),
		event(t, inventory.EventHeld, b.orderID, inventory.ReservationChanged{OrderID: b.orderID}),
	}
	for range 2 { // Without a message id, the stream takes each of them twice.
		for _, ev := range events {
			payload, err := ev.MarshalJSON()
			require.NoError(t, err)
			_, err = js.Publish(ctx, ev.Type(), payload)
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool {
		timeline, err := b.service.Timeline(b.ctx, b.orderID, "", 100)
		return err == nil && len(timeline.Entries) == 1+len(events)
	}, 20*time.Second, 5*time.Millisecond)
	o, _ := b.last(t)
	require.Equal(t, order.PaymentCaptured, o.Payment)
	require.Equal(t, order.FulfilmentCommitted, o.Fulfilment)

	stop()
	for range b.all {
		require.NoError(t, <-ended)
	}
	subjects := []string{}
	for _, c := range b.all {
		subjects = append(subjects, c.Subjects...)
	}
	for _, ev := range events {
		require.True(t, slices.ContainsFunc(subjects, func(s string) bool {
			return strings.HasPrefix(ev.Type(), strings.TrimSuffix(s, ">"))
		}), ev.Type())
	}
}
