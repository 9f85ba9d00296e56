package shipment

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/store/db"
)

var errStopping = errors.New("shipment: the process is stopping")

// Book asks the carrier to fetch a fulfilment and returns once the carrier has confirmed it and our books say so. It is
// idempotent by order and fulfilment, and goes on with what an earlier call began.
//
// Final failures: shipping.ErrShipmentInvalid, ErrAddressInvalid, ErrAddressRefused (a code and message of the
// carrier's), ErrCancelled, ErrShipmentMismatch. Retryable: ErrCarrierUnavailable, ErrOutcomeUnknown. When ctx ends, it
// returns ctx's error and leaves everything as it is: whoever cancels must call Cancel.
func (s *Service) Book(ctx context.Context, req shipping.BookRequest, p Progress) (shipping.Booking, error) {
	if err := validateRequest(req); err != nil {
		return shipping.Booking{}, err
	}
	var shipmentID string
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
		shipmentID, err = s.open(ctx, tx, req, false)
		return err
	})
	if err != nil {
		return shipping.Booking{}, err
	}
	sh, err := s.pursue(ctx, shipmentID, p)
	if err != nil {
		return shipping.Booking{}, err
	}
	return shipping.Booking{ShipmentID: sh.ID, Carrier: sh.Carrier, TrackingNumber: sh.TrackingNumber}, nil
}

// open makes sure that there is a row for the request, and returns its id. It returns ErrShipmentMismatch where the row
// is of something else.
func (s *Service) open(ctx context.Context, tx pgx.Tx, req shipping.BookRequest, manual bool) (string, error) {
	q := s.queries.WithTx(tx)
	inserted, err := q.InsertShipment(ctx, db.InsertShipmentParams{
		ID: id.New(id.Shipment), OrderID: req.OrderID, FulfilmentID: req.FulfilmentID, Warehouse: req.Warehouse,
		Items: req.Items, Address: &req.To, State: string(Booking), Manual: manual,
	})
	if err == nil {
		return inserted, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	row, err := q.GetShipmentOf(ctx, db.GetShipmentOfParams{OrderID: req.OrderID, FulfilmentID: req.FulfilmentID})
	if err != nil {
		return "", missing(err)
	}
	sh := fromRow(row.Shipment, row.AttemptLive)
	// A shipment that was called off before it was asked for is of nothing yet.
	if sh.To != nil && (sh.Warehouse != req.Warehouse || *sh.To != req.To || !reflect.DeepEqual(sh.Items, req.Items)) {
		return "", shipping.ErrShipmentMismatch
	}
	return sh.ID, nil
}

// pursue drives a shipment until it is booked or nothing is left to drive. Every round looks at the row first, because
// others may have changed it; the row decides, and the rounds only bring it nearer to an end.
func (s *Service) pursue(ctx context.Context, shipmentID string, p Progress) (Shipment, error) {
	sh, err := s.drive(ctx, shipmentID, p)
	if err != nil && ctx.Err() != nil {
		// A call that failed because of the cancellation is not a failure of the carrier's.
		return Shipment{}, ctx.Err()
	}
	return sh, err
}

func (s *Service) drive(ctx context.Context, shipmentID string, p Progress) (Shipment, error) {
	signs := newSigns(p, s.timing.Poll)
	sh, err := s.Get(ctx, shipmentID)
	if err == nil && sh.ticket == "" && p.Resume.Ticket != "" {
		// The attempt before this one got a ticket, and could not write it down.
		sh, err = s.landed(ctx, sh.ID, p.Resume.Ticket)
	}
	for ; err == nil; sh, err = s.Get(ctx, shipmentID) {
		if sh.beingCalledOff() {
			// Whoever wants it called off sees to that. Helping costs little, and where the row says cancelled
			// already nobody else may come again.
			err := signs.during(func() error { return s.callOff(ctx, sh) })
			if err != nil && (!errors.Is(err, shipping.ErrDispatched) || sh.State == Cancelled) {
				return Shipment{}, err
			}
			continue
		}
		if sh.State == Cancelled {
			return Shipment{}, sh.refusal()
		}
		if sh.State != Booking {
			return sh, nil
		}
		advanced := false
		err := signs.during(func() (err error) {
			advanced, err = s.advance(ctx, sh, signs)
			return err
		})
		if err != nil {
			return Shipment{}, err
		}
		if advanced {
			continue
		}
		if err := s.pause(ctx, p.Stop); err != nil {
			return Shipment{}, err
		}
	}
	return Shipment{}, err
}

func (s *Service) pause(ctx context.Context, stop <-chan struct{}) error {
	timer := time.NewTimer(s.timing.Poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-stop:
		return shipping.ErrOutcomeUnknown.WithCause(errStopping)
	case <-timer.C:
		return nil
	}
}

// advance takes one step with a shipment that is booking, and reports whether there is something new in its row.
func (s *Service) advance(ctx context.Context, sh Shipment, signs *signs) (bool, error) {
	if sh.ticket == "" {
		signs.reached(Checkpoint{Stage: Submitting})
		ticket, err := s.submit(ctx, sh)
		if err != nil || ticket == "" {
			return false, err
		}
		// Reported before it is written down: if the database fails now, the next attempt knows it all the same.
		signs.reached(Checkpoint{Ticket: ticket, Stage: Pending})
		_, err = s.landed(ctx, sh.ID, ticket)
		return true, err
	}
	status, err := s.carrier.Status(ctx, sh.ticket)
	if err != nil {
		return false, err
	}
	signs.reached(Checkpoint{Ticket: sh.ticket, Stage: status.Stage})
	switch status.Stage {
	case Confirmed:
		return true, s.confirm(ctx, sh, status)
	case Refused, Withdrawn:
		return true, s.giveUp(ctx, sh, status)
	default: // It is thinking.
		return false, nil
	}
}

// submit returns the carrier's ticket, or "" when another look is due after a pause. At most one submission is under
// way at any time, and none begins once the shipment is being called off: claim sees to both.
func (s *Service) submit(ctx context.Context, sh Shipment) (ticket string, err error) {
	// Taken before the claim, so that the submission is over before the claim is, even if this process is stopped for
	// a while in between.
	deadline := time.Now().Add(s.timing.Call)
	attempt, unanswered, err := s.claim(ctx, sh.ID)
	if err != nil {
		return "", err
	}
	if attempt == "" || unanswered {
		// Somebody asked, or is asking. Only the carrier knows what came of it.
		ticket, found, err := s.carrier.Find(ctx, sh.key())
		if err != nil {
			return "", shipping.ErrOutcomeUnknown.WithCause(err)
		}
		if found || attempt == "" {
			return ticket, nil
		}
	}
	// A cancellation waits for the answer: cutting the call off would only make its outcome unknown.
	call, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	ticket, err = s.carrier.Submit(call, sh.key(), sh.parcel())
	if err == nil {
		return ticket, nil
	}
	if errs.From(err).Kind == errs.Unavailable {
		return "", errors.Join(err, s.release(ctx, sh.ID, attempt))
	}
	ticket, found, findErr := s.carrier.Find(context.WithoutCancel(ctx), sh.key())
	if findErr != nil {
		return "", shipping.ErrOutcomeUnknown.WithCause(errors.Join(err, findErr))
	}
	if found {
		return ticket, nil
	}
	s.log.WarnContext(ctx, "carrier's answer lost; looking it up until the submission is over",
		"shipment_id", sh.ID, "error", err)
	return "", nil
}

// claim begins a submission and returns its name, or "" where one is under way already or none may begin. unanswered
// is true where an earlier one is over and nobody wrote down what came of it.
func (s *Service) claim(ctx context.Context, shipmentID string) (attempt string, unanswered bool, err error) {
	_, err = s.change(ctx, shipmentID, func(sh *Shipment) ([]news, error) {
		attempt, unanswered = "", sh.attempt != ""
		if sh.State != Booking || sh.cancelling || sh.ticket != "" || sh.attemptLive {
			return nil, errUnchanged
		}
		attempt = uuid.NewString()
		sh.attempt = attempt
		return nil, nil
	})
	return attempt, unanswered, err
}

// release ends a submission that certainly had no effect.
func (s *Service) release(ctx context.Context, shipmentID, attempt string) error {
	ctx, cancel := s.detached(ctx)
	defer cancel()
	_, err := s.change(ctx, shipmentID, func(sh *Shipment) ([]news, error) {
		if sh.attempt != attempt {
			return nil, errUnchanged
		}
		sh.attempt = ""
		return nil, nil
	})
	return err
}

// landed writes down that the carrier has the request, also where the shipment was cancelled meanwhile: the row then
// says that something is left to call off.
func (s *Service) landed(ctx context.Context, shipmentID, ticket string) (Shipment, error) {
	ctx, cancel := s.detached(ctx)
	defer cancel()
	return s.change(ctx, shipmentID, func(sh *Shipment) ([]news, error) {
		if sh.ticket != "" {
			return nil, errUnchanged
		}
		sh.ticket, sh.ticketLive, sh.attempt = ticket, true, ""
		return nil, nil
	})
}

// confirm writes down that the carrier will come, unless the shipment is being called off: then it stays as it is.
func (s *Service) confirm(ctx context.Context, sh Shipment, status Status) error {
	ctx, cancel := s.detached(ctx)
	defer cancel()
	_, err := s.change(ctx, sh.ID, func(sh *Shipment) ([]news, error) {
		if sh.State != Booking || sh.cancelling {
			return nil, errUnchanged
		}
		if err := sh.confirmed(status); err != nil {
			return nil, err
		}
		return []news{sh.tell(shipping.EventBooked)}, nil
	})
	return err
}

// giveUp writes down that the carrier will not come.
func (s *Service) giveUp(ctx context.Context, sh Shipment, status Status) error {
	ctx, cancel := s.detached(ctx)
	defer cancel()
	_, err := s.change(ctx, sh.ID, func(sh *Shipment) ([]news, error) {
		if sh.State != Booking {
			return nil, errUnchanged
		}
		if err := sh.move(Cancelled); err != nil {
			return nil, err
		}
		sh.cancelling, sh.ticketLive = false, false
		if status.Stage == Refused {
			sh.Refusal = &Refusal{Code: status.Refusal.Code, Message: status.Refusal.Message}
			return []news{sh.tell(shipping.EventRefused)}, nil
		}
		return []news{sh.tell(shipping.EventCancelled)}, nil
	})
	return err
}
