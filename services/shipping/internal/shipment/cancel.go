package shipment

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/store/db"
)

// cancelAtATime bounds how many shipments of an order are called off at once. Each takes a database connection from
// time to time, which others need as well.
const cancelAtATime = 8

// Cancel calls off the shipments of an order, several at once: one that the carrier is slow about must not use up the
// time of the others. It is idempotent, and goes on past one that fails, so that another attempt finds less to do.
// Where nothing was ever booked it leaves a cancelled shipment behind, so that a Book which comes late is refused.
//
// It returns shipping.ErrDispatched, final, once all others are called off; shipping.ErrCarrierUnavailable or
// ErrOutcomeUnknown, retryable, while the carrier cannot be asked or may still be taking a parcel on.
func (s *Service) Cancel(ctx context.Context, req shipping.CancelRequest) error {
	failures := make([]error, len(req.FulfilmentIDs))
	panics := make([]any, len(req.FulfilmentIDs))
	var group errgroup.Group // Without a context: one that fails must not stop the others.
	group.SetLimit(cancelAtATime)
	for i, fulfilmentID := range req.FulfilmentIDs {
		group.Go(func() error {
			defer func() { panics[i] = recover() }()
			failures[i] = s.cancelOne(ctx, req.OrderID, fulfilmentID)
			return nil
		})
	}
	_ = group.Wait() // The failures are all of them, not the first.
	for _, p := range panics {
		if p != nil {
			panic(p) // The caller recovers from it. In a goroutine of its own it would end the process.
		}
	}
	var final, retryable []error
	for _, err := range failures {
		switch {
		case err == nil:
		case errs.From(err).Kind.Retryable():
			retryable = append(retryable, err)
		default:
			final = append(final, err)
		}
	}
	if retryable != nil {
		return errors.Join(retryable...)
	}
	return errors.Join(final...)
}

func (s *Service) cancelOne(ctx context.Context, orderID, fulfilmentID string) error {
	var shipmentID string
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		inserted, err := q.InsertShipment(ctx, db.InsertShipmentParams{
			ID: id.New(id.Shipment), OrderID: orderID, FulfilmentID: fulfilmentID, Items: []shipping.Item{},
			State: string(Cancelled),
		})
		if err == nil {
			shipmentID = inserted
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		row, err := q.GetShipmentOf(ctx, db.GetShipmentOfParams{OrderID: orderID, FulfilmentID: fulfilmentID})
		if err != nil {
			return missing(err)
		}
		shipmentID = row.Shipment.ID
		_, _, err = s.changeTx(ctx, tx, shipmentID, intend)
		return err
	})
	if err != nil {
		return err
	}
	return s.finishCancelling(ctx, shipmentID)
}

// intend marks a shipment as being called off. It must be committed before the carrier is asked anything: from then on
// no submission begins and no booking is confirmed.
func intend(sh *Shipment) ([]news, error) {
	switch {
	case sh.underWay():
		return nil, shipping.ErrDispatched
	case sh.State == Cancelled:
		return nil, errUnchanged
	default:
		sh.cancelling = true
		return nil, nil
	}
}

// finishCancelling does what intend announced.
func (s *Service) finishCancelling(ctx context.Context, shipmentID string) error {
	sh, err := s.Get(ctx, shipmentID)
	if err != nil {
		return err
	}
	if sh.beingCalledOff() {
		return s.callOff(ctx, sh)
	}
	if sh.underWay() {
		return shipping.ErrDispatched
	}
	return nil
}

// callOff makes the carrier forget a shipment that is being called off, and then our books. sh must have been read
// before the call: whether a submission may still arrive has to be known before the carrier is asked what has arrived.
func (s *Service) callOff(ctx context.Context, sh Shipment) error {
	ticket := sh.ticket
	if ticket == "" {
		found, ok, err := s.carrier.Find(ctx, sh.key())
		if err != nil {
			return err
		}
		if !ok && sh.attemptLive {
			return shipping.ErrOutcomeUnknown
		}
		ticket = found
	}
	if ticket != "" {
		err := s.carrier.Cancel(ctx, ticket)
		if errors.Is(err, shipping.ErrDispatched) {
			return s.tooLate(ctx, sh, ticket, err)
		}
		if err != nil {
			return err
		}
	}
	ctx, cancel := s.detached(ctx)
	defer cancel()
	_, err := s.change(ctx, sh.ID, func(sh *Shipment) ([]news, error) {
		if sh.ticket != "" && sh.ticket != ticket {
			// It arrived after all, just now.
			return nil, shipping.ErrOutcomeUnknown
		}
		sh.ticket, sh.ticketLive, sh.cancelling, sh.attempt = ticket, false, false, ""
		if sh.State == Cancelled {
			return nil, nil
		}
		if err := sh.move(Cancelled); err != nil {
			return nil, err
		}
		return []news{sh.tell(shipping.EventCancelled)}, nil
	})
	return err
}

// tooLate withdraws the intent to call a shipment off, because the carrier has the parcel, and returns why. Where Book
// has not come to an end, our books learn here what it would have learnt: it may not come again.
func (s *Service) tooLate(ctx context.Context, sh Shipment, ticket string, why error) error {
	var status Status
	if sh.State == Booking {
		var err error
		if status, err = s.carrier.Status(ctx, ticket); err != nil {
			return err
		}
		if status.Stage != Confirmed {
			return shipping.ErrOutcomeUnknown
		}
	}
	ctx, cancel := s.detached(ctx)
	defer cancel()
	_, err := s.change(ctx, sh.ID, func(sh *Shipment) (told []news, err error) {
		if !sh.cancelling {
			return nil, errUnchanged
		}
		sh.cancelling, sh.attempt, sh.ticket, sh.ticketLive = false, "", ticket, true
		if sh.State == Booking {
			if err := sh.confirmed(status); err != nil {
				return nil, err
			}
			told = append(told, sh.tell(shipping.EventBooked))
		}
		if err := sh.move(Dispatched); err != nil {
			return nil, err
		}
		return append(told, sh.tell(shipping.EventDispatched)), nil
	})
	if err != nil {
		return err
	}
	return why
}
