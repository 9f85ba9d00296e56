package projection

import (
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

// observe says what an event means for its order; known is false for types that mean nothing to orders.
func observe(ev cloudevents.Event) (o order.Observation, known bool, err error) {
	switch ev.Type() {
	case payments.EventAuthorized.Type, payments.EventDeclined.Type, payments.EventOutcomeUnknown.Type,
		payments.EventCaptured.Type, payments.EventVoided.Type, payments.EventRefunded.Type:
		o, err = decode(ev, payment)
	case inventory.EventHeld.Type, inventory.EventCommitted.Type, inventory.EventReleased.Type,
		inventory.EventExpired.Type:
		o, err = decode(ev, reservation)
	case shipping.EventBooked.Type, shipping.EventRefused.Type, shipping.EventCancelled.Type:
		o, err = decode(ev, shipment)
	default:
		return order.Observation{}, false, nil
	}
	o.EventID, o.Type, o.At = ev.ID(), entryType(ev.Type()), ev.Time()
	return o, true, err
}

// decode reads an event whose data is a T.
func decode[T any](ev cloudevents.Event, meaning func(eventType string, data T) order.Observation) (
	order.Observation, error,
) {
	data, err := contract.Event[T]{Type: ev.Type()}.Decode(ev)
	if err != nil {
		return order.Observation{}, err
	}
	return meaning(ev.Type(), data), nil
}

// entryType returns the type without service and version: "payments.payment.authorized.v1" → "payment.authorized".
func entryType(eventType string) string {
	_, rest, _ := strings.Cut(eventType, ".")
	if i := strings.LastIndexByte(rest, '.'); i >= 0 {
		return rest[:i]
	}
	return rest
}

func payment(eventType string, p payments.Changed) order.Observation {
	o := order.Observation{OrderID: p.OrderID, Data: map[string]any{"payment_id": p.PaymentID, "amount": p.Amount}}
	switch eventType {
	case payments.EventAuthorized.Type:
		o.Payment, o.Message = order.PaymentAuthorized, "The payment is authorized."
	case payments.EventDeclined.Type:
		o.Payment, o.Code = order.PaymentDeclined, p.Code
		o.Message = either(p.Message, payments.ErrDeclined.Message)
	case payments.EventOutcomeUnknown.Type:
		o.Payment, o.Message = order.PaymentUnknown, "The payment provider has not answered yet. We keep asking."
	case payments.EventCaptured.Type:
		o.Payment, o.Message = order.PaymentCaptured, "The payment was taken."
	case payments.EventVoided.Type:
		o.Payment, o.Message = order.PaymentVoided, "The payment was called off. No money was taken."
	case payments.EventRefunded.Type:
		o.Payment, o.Message = order.PaymentRefunded, "The payment was paid back."
		if p.Refunded < p.Captured {
			o.Payment, o.Message = order.PaymentPartiallyRefunded, "A part of the payment was paid back."
		}
		o.Data["refunded"] = money.Of(p.Refunded, p.Amount.Currency)
	}
	return o
}

func reservation(eventType string, r inventory.ReservationChanged) order.Observation {
	o := order.Observation{OrderID: r.OrderID, Data: map[string]any{"reservation_id": r.ReservationID}}
	switch eventType {
	case inventory.EventHeld.Type:
		o.Fulfilment, o.Message = order.FulfilmentReserved, "The articles are reserved."
	case inventory.EventCommitted.Type:
		o.Fulfilment, o.Message = order.FulfilmentCommitted, "The articles are being made ready for shipping."
	case inventory.EventReleased.Type:
		o.Fulfilment, o.Message = order.FulfilmentReleased, "The articles are no longer reserved."
	case inventory.EventExpired.Type:
		// The order may yet get its articles: a saga that is still at work reserves them anew.
		o.Message = "The reservation of the articles expired."
	}
	return o
}

func shipment(eventType string, s shipping.Changed) order.Observation {
	o := order.Observation{
		OrderID: s.OrderID, Data: map[string]any{"shipment_id": s.ShipmentID, "fulfilment_id": s.FulfilmentID},
	}
	switch eventType {
	case shipping.EventBooked.Type:
		o.Fulfilment, o.Message = order.FulfilmentBooked, "A shipment is booked."
		o.Data["carrier"], o.Data["tracking_number"] = s.Carrier, s.TrackingNumber
	case shipping.EventRefused.Type:
		o.Code, o.Message = s.Code, either(s.Message, "The carrier refused the shipment.")
	case shipping.EventCancelled.Type:
		o.Fulfilment, o.Message = order.FulfilmentCancelled, "The shipment was called off."
	}
	return o
}

func either(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
