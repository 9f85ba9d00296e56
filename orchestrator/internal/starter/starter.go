// Package starter turns the events of the orders service into sagas: an order that was placed starts one, a cancel
// request signals it. An event is done with only when Temporal has taken it over.
package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders"
)

// The failures.
var (
	errUnreadable = errs.New(errs.Malformed, "event_unreadable", "The event cannot be read.")
	// errSealed is retried: the right key may be on its way to this process, and the order was accepted. A wrong key
	// under the right name looks as if every order were tampered with; to put them all away as dead letters would lose
	// what is cured by one setting.
	errSealed   = errs.New(errs.Unavailable, "event_sealed", "The event cannot be opened with the keys that are here.")
	errTemporal = errs.New(errs.Unavailable, "temporal_unavailable", "The workflow engine cannot be reached.")
	errNotYet   = errs.New(errs.Unavailable, "saga_not_started", "The saga to cancel has not been started yet.")
)

// Starter starts and signals sagas.
type Starter struct {
	client client.Client
	keys   seal.Keyring
}

// New returns a starter.
func New(c client.Client, keys seal.Keyring) *Starter { return &Starter{client: c, keys: keys} }

// Consumer is the starter's durable place in the stream of orders.
func (s *Starter) Consumer() eventbus.Consumer {
	return eventbus.Consumer{
		Stream:   orders.Stream.Name,
		Durable:  "orchestrator-starter",
		Subjects: []string{orders.EventPlaced.Type, orders.EventCancelRequested.Type},
		Handle:   s.handle,
		Parallel: 16,
	}
}

func (s *Starter) handle(ctx context.Context, ev cloudevents.Event) error {
	switch ev.Type() {
	case orders.EventPlaced.Type:
		placed, err := decode(orders.EventPlaced, ev)
		if err != nil {
			return err
		}
		return s.start(ctx, placed)
	case orders.EventCancelRequested.Type:
		cancel, err := decode(orders.EventCancelRequested, ev)
		if err != nil {
			return err
		}
		return s.cancel(ctx, cancel)
	default:
		return errUnreadable.WithCause(fmt.Errorf("unexpected type %s", ev.Type()))
	}
}

func decode[T any](e contract.Event[T], ev cloudevents.Event) (T, error) {
	data, err := e.Decode(ev)
	if err != nil {
		return data, errUnreadable.WithCause(err)
	}
	return data, nil
}

// start starts the saga of an order. A saga that is there already, running or ended, is what a redelivery finds.
func (s *Starter) start(ctx context.Context, placed orders.Placed) error {
	if placed.OrderID == "" || len(placed.SealedOrder) == 0 {
		return errUnreadable // No key and no patience cures that.
	}
	plain, err := s.keys.Open(placed.SealedOrder)
	if err != nil {
		return errSealed.WithCause(err)
	}
	in := saga.Input{OrderID: placed.OrderID}
	if err := json.Unmarshal(plain, &in.Order); err != nil {
		return errUnreadable.WithCause(err)
	}
	_, err = s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                    saga.WorkflowID(placed.OrderID),
		TaskQueue:             saga.TaskQueue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		// Without it the SDK would hide that the saga was there already, and so an error that is not one.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, saga.WorkflowType, in)
	if err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return errTemporal.WithCause(err)
	}
	return nil
}

// cancel signals the saga of an order. One that has ended cannot be cancelled any more, and its end has been told.
func (s *Starter) cancel(ctx context.Context, cancel orders.CancelRequested) error {
	id := saga.WorkflowID(cancel.OrderID)
	err := s.client.SignalWorkflow(ctx, id, "", saga.SignalCancel,
		saga.CancelRequest{Reason: cancel.Reason, RequestedBy: cancel.RequestedBy})
	if _, notFound := errors.AsType[*serviceerror.NotFound](err); notFound {
		if _, err = s.client.DescribeWorkflowExecution(ctx, id, ""); err == nil {
			return nil
		}
		// Events of one order may be handled in any order: the start is still to come.
		return errNotYet.WithCause(err)
	}
	if err != nil {
		return errTemporal.WithCause(err)
	}
	return nil
}
