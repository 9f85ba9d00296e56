package order

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// The entries that the service itself writes into timelines.
const (
	EntryPlaced              = "order.placed"
	EntryCancelRequested     = "order.cancel_requested"
	EntryCancellationTooLate = "order.cancellation_too_late"
	EntryConfirmed           = "order.confirmed"
	EntryCancelled           = "order.cancelled"
	EntryFailed              = "order.failed"
	EntryNeedsAttention      = "order.needs_attention"
)

// Cancel records that the caller in ctx wants an order to be undone; the saga hears of it and answers with Close, or
// with Confirm where the request came too late. An order that is being cancelled, or is cancelled, is returned as it
// is. Any other state than pending gives ErrNotCancellable. It also returns orders.ErrOrderNotFound and failures of
// package idempotency.
func (s *Service) Cancel(ctx context.Context, orderID, reason string) (o Order, replayed bool, err error) {
	if !id.Valid(id.Order, orderID) {
		return Order{}, false, orders.ErrOrderNotFound
	}
	requested := false
	o, replayed, err = idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (Order, error) {
		requested = false
		o, err := found(db.New(tx).LockOrder(ctx, orderID))
		if err != nil {
			return Order{}, err
		}
		if err := visible(ctx, o); err != nil {
			return Order{}, err
		}
		switch o.Status {
		case Cancelling, Cancelled:
			return o, nil
		case Pending:
			requested = true
			return requestCancel(ctx, tx, o, reason)
		default:
			return Order{}, ErrNotCancellable.WithMessage("An order that is %s cannot be cancelled.", o.Status)
		}
	})
	if err != nil {
		return Order{}, false, postgres.Interpret(err)
	}
	if requested {
		s.published()
	}
	return o, replayed, nil
}

func requestCancel(ctx context.Context, tx pgx.Tx, o Order, reason string) (Order, error) {
	by := caller.From(ctx).Subject
	now := clock()
	event, err := orders.EventCancelRequested.New(o.ID, now, orders.CancelRequested{
		OrderID: o.ID, Reason: reason, RequestedBy: by,
	})
	if err != nil {
		return Order{}, err
	}
	told := map[string]any{"requested_by": by}
	if reason != "" {
		told["reason"] = reason
	}
	data, err := facts(told)
	if err != nil {
		return Order{}, err
	}
	return move(ctx, tx, o, change{
		to: Cancelling, at: now, event: event, data: data,
		entry: EntryCancelRequested, message: "Cancellation was requested.",
	})
}

// Confirm ends an order well. A cancel request that was recorded meanwhile came too late, and the timeline says so.
// Like Close and Park it changes nothing when the order has that end already, and it returns
// orders.ErrIllegalTransition or orders.ErrOrderNotFound.
func (s *Service) Confirm(ctx context.Context, orderID string) error {
	return s.settle(ctx, orderID, settlement{
		to: Confirmed, event: orders.EventConfirmed, entry: EntryConfirmed, message: "The order is confirmed.",
	})
}

// Close ends an order that was undone completely, as cancelled or failed.
func (s *Service) Close(ctx context.Context, orderID string, outcome orders.Outcome, why Reason) error {
	switch outcome {
	case orders.Cancelled:
		return s.settle(ctx, orderID, settlement{
			to: Cancelled, why: why, event: orders.EventCancelled, entry: EntryCancelled,
			message: "The order is cancelled.",
		})
	case orders.Failed:
		return s.settle(ctx, orderID, settlement{
			to: Failed, why: why, event: orders.EventFailed, entry: EntryFailed,
			message: "The order could not be carried out.",
		})
	default:
		return orders.ErrIllegalTransition.WithCause(fmt.Errorf("an order cannot be closed as %q", outcome))
	}
}

// Park shows that an order waits for an operator.
func (s *Service) Park(ctx context.Context, orderID string, why Reason) error {
	return s.settle(ctx, orderID, settlement{
		to: NeedsAttention, why: why, event: orders.EventNeedsAttention, entry: EntryNeedsAttention,
		message: "The order needs the attention of our staff.",
	})
}

// settlement is how an order settles.
type settlement struct {
	to    Status
	why   Reason
	event contract.Event[orders.Ended]
	entry string
	// message is what customers read where why has none.
	message string
}

func (s *Service) settle(ctx context.Context, orderID string, to settlement) error {
	var settled *Order
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		settled = nil
		o, err := found(db.New(tx).LockOrder(ctx, orderID))
		if err != nil || o.Status == to.to {
			return err
		}
		if err := o.Status.move(to.to); err != nil {
			return err
		}
		now := clock()
		if o.Status == Cancelling && to.to == Confirmed {
			if err := tellTooLate(ctx, tx, o, now); err != nil {
				return err
			}
		}
		event, err := to.event.New(o.ID, now, orders.Ended{OrderID: o.ID, Code: to.why.Code, Message: to.why.Message})
		if err != nil {
			return err
		}
		message := to.message
		if to.why.Message != "" {
			message = to.why.Message
		}
		o, err = move(ctx, tx, o, change{
			to: to.to, at: now, why: to.why, event: event, entry: to.entry, message: message,
			data: json.RawMessage(`{}`),
		})
		settled = &o
		return err
	})
	if err != nil {
		return err
	}
	if settled != nil {
		s.published()
		s.endings.Settled(settled.ID)
		s.metrics.settled(ctx, *settled)
	}
	return nil
}

func tellTooLate(ctx context.Context, tx pgx.Tx, o Order, at time.Time) error {
	_, err := addEntry(ctx, tx, Observation{
		OrderID: o.ID, Type: EntryCancellationTooLate, At: at,
		Message: "The cancellation came too late: the order could no longer be stopped.",
	})
	return err
}

// change is a move of the state machine with all that goes with it.
type change struct {
	to      Status
	at      time.Time
	why     Reason
	event   cloudevents.Event
	entry   string
	message string
	data    json.RawMessage
}

// move changes the state of an order whose row the transaction has locked.
func move(ctx context.Context, tx pgx.Tx, o Order, c change) (Order, error) {
	if err := o.Status.move(c.to); err != nil {
		return Order{}, err
	}
	o.Status, o.UpdatedAt, o.Reason, o.EndedAt = c.to, c.at, nil, nil
	if c.why != (Reason{}) {
		o.Reason = &c.why
	}
	if c.to.Ended() {
		o.EndedAt = &c.at
	}
	var announced *time.Time // While an operator has the order, it is not announced.
	if !c.to.Settled() {
		announced = &c.at
	}
	err := db.New(tx).MoveOrder(ctx, db.MoveOrderParams{
		ID: o.ID, Status: string(o.Status),
		ReasonCode: c.why.Code, ReasonMessage: c.why.Message, UpdatedAt: o.UpdatedAt, EndedAt: o.EndedAt,
		AnnouncedAt: announced,
		Type:        c.entry, Code: c.why.Code, Message: c.message, Data: c.data, EventID: c.event.ID(),
	})
	if err != nil {
		return Order{}, err
	}
	return o, outbox.Append(ctx, tx, c.event)
}
