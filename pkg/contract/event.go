package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/orderflow/orderflow/pkg/id"
)

// Stream declares the JetStream stream of a service. Its owner creates it; consumers wait for it.
type Stream struct {
	// Name is the service's name in upper case.
	Name string
	// Subjects the stream takes, such as "orders.>".
	Subjects []string
}

// Event declares a CloudEvents 1.0 event with its data. Data changes additively.
type Event[T any] struct {
	// Type is the CloudEvents type and the NATS subject: "<service>.<entity>.<what>.v1".
	Type string
}

// New returns an event about the entity subject (an order's or a SKU's identifier) with a new event id.
func (e Event[T]) New(subject string, at time.Time, data T) (cloudevents.Event, error) {
	service, _, _ := strings.Cut(e.Type, ".")
	ev := cloudevents.New()
	ev.SetID(id.New(id.Event))
	ev.SetSource("/orderflow/" + service)
	ev.SetType(e.Type)
	ev.SetSubject(subject)
	ev.SetTime(at)
	if err := ev.SetData("application/json", data); err != nil {
		return cloudevents.Event{}, fmt.Errorf("contract: encode %s: %w", e.Type, err)
	}
	return ev, nil
}

// Decode returns the data of an event of this type.
func (e Event[T]) Decode(ev cloudevents.Event) (T, error) {
	var data T
	if ev.Type() != e.Type {
		return data, fmt.Errorf("contract: event %s is of type %s, not %s", ev.ID(), ev.Type(), e.Type)
	}
	if err := json.Unmarshal(ev.Data(), &data); err != nil {
		return data, fmt.Errorf("contract: decode %s %s: %w", e.Type, ev.ID(), err)
	}
	return data, nil
}
