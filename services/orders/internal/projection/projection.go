// Package projection tells orders what other services did for them: it reads the events of payments, inventory and
// shipping and writes them, in words for customers, into the orders' timelines. It knows what those events mean; what a
// timeline is and which status wins, package order knows.
package projection

import (
	"context"
	"log/slog"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

// durable is the name under which the streams remember how far the timelines have come.
const durable = "orders-timeline"

// parallel leaves connections to the database for requests: each stream handles this many events at a time.
const parallel = 4

var errUnreadable = errs.New(errs.Malformed, "event_unreadable", "The event cannot be read.")

// Consumers returns what reads the streams on behalf of the timelines.
func Consumers(service *order.Service, metrics *eventbus.Metrics, log *slog.Logger) []eventbus.Consumer {
	p := projector{orders: service, log: log}
	consumer := func(stream contract.Stream, subject string) eventbus.Consumer {
		return eventbus.Consumer{
			Stream: stream.Name, Durable: durable, Subjects: []string{subject}, Handle: p.handle, Parallel: parallel,
			Metrics: metrics,
		}
	}
	return []eventbus.Consumer{
		consumer(payments.Stream, "payments.payment.>"),
		consumer(inventory.Stream, "inventory.reservation.>"),
		consumer(shipping.Stream, "shipping.shipment.>"),
	}
}

type projector struct {
	orders *order.Service
	log    *slog.Logger
}

// handle fails finally for an event that cannot be read, and passes over those that it does not know: they come from a
// newer version of their service.
func (p projector) handle(ctx context.Context, ev cloudevents.Event) error {
	o, known, err := observe(ev)
	if err != nil {
		return errUnreadable.WithCause(err)
	}
	if !known {
		p.log.DebugContext(ctx, "unknown event passed over", "event", ev.ID(), "type", ev.Type())
		return nil
	}
	added, err := p.orders.Observe(ctx, o)
	if err != nil {
		return err
	}
	if !added {
		p.log.DebugContext(ctx, "event added nothing", "event", ev.ID(), "type", ev.Type(), "order", o.OrderID)
	}
	return nil
}
