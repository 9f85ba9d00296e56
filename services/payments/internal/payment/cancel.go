package payment

import (
	"context"
	"errors"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
)

// The outcomes of Cancel.
const (
	outcomeVoided   = "voided"
	outcomeRefunded = "refunded"
	outcomeNothing  = "nothing"
)

// Cancel undoes whatever was paid for an order, and keeps whatever comes late from being paid. It may be called at any
// time and any number of times; how it meets calls that are still running is told at the state machine.
//
// It returns payments.ErrProviderUnavailable, ErrOutcomeUnknown and ErrInFlight, all retryable, and ErrRefundRefused
// where the provider will not give captured money back.
func (s *Service) Cancel(ctx context.Context, req payments.CancelRequest) (payments.Cancellation, error) {
	p, again, err := s.announceCancellation(ctx, req.OrderID)
	// Each turn brings the payment a state further; the longest way is unknown, authorized, captured, refunded.
	for range len(moves) {
		if err != nil {
			return payments.Cancellation{}, err
		}
		switch {
		case p.State.unresolved():
			p, err = s.cancelUnresolved(ctx, p)
		case p.State == Authorized:
			p, err = s.cancelAuthorized(ctx, p, again)
		case p.State.taken():
			p, err = s.refundRest(ctx, p)
		case p.State == Voided:
			if err := s.releaseLate(ctx, p); err != nil {
				return payments.Cancellation{}, err
			}
			return p.cancellation(), nil
		default:
			return p.cancellation(), nil
		}
	}
	return payments.Cancellation{}, errors.Join(ErrInFlight, err)
}

// cancellation is the payment as an answer to Cancel.
func (p Payment) cancellation() payments.Cancellation {
	switch {
	case p.neverPaid():
		return payments.Cancellation{Outcome: outcomeNothing}
	case p.State == Voided:
		return payments.Cancellation{PaymentID: p.ID, Outcome: outcomeVoided}
	case p.State == Refunded:
		return payments.Cancellation{PaymentID: p.ID, Outcome: outcomeRefunded}
	default:
		return payments.Cancellation{PaymentID: p.ID, Outcome: outcomeNothing}
	}
}

// announceCancellation raises the flag after which no new call can hold or take money. again says that an earlier
// call of Cancel or Capture may have had an effect nobody knows of.
func (s *Service) announceCancellation(ctx context.Context, orderID string) (p Payment, again bool, err error) {
	err = s.announce(ctx, func(ctx context.Context, tx *unit) error {
		var found bool
		if p, found, err = ofOrder(ctx, tx, orderID); err != nil {
			return err
		}
		now := s.now()
		if !found {
			p = Payment{
				ID: id.New(id.Payment), OrderID: orderID, State: Voided, Amount: money.Of(0, noCurrency),
				CreatedAt: now, UpdatedAt: now, cancelledAt: now,
			}
			if made, err := insert(ctx, tx, p); err != nil || made {
				return err
			}
			// An Authorize has made it meanwhile.
			if p, _, err = ofOrder(ctx, tx, orderID); err != nil {
				return err
			}
		}
		again = p.cancelled() || !p.captureStartedAt.IsZero()
		if p.cancelled() || p.State == Declined {
			return nil
		}
		before := p
		p.cancelledAt = now
		if p.State == Authorizing && p.attemptUntil.IsZero() {
			// Every attempt so far is known to have come to nothing.
			p.State = Voided
			return s.save(ctx, tx, before, p, &payments.EventVoided)
		}
		return s.save(ctx, tx, before, p, nil)
	})
	return p, again, err
}

// cancelUnresolved finds out what there is to undo.
func (s *Service) cancelUnresolved(ctx context.Context, p Payment) (Payment, error) {
	if !p.attemptUntil.IsZero() {
		charge, err := s.find(ctx, p)
		if err == nil {
			return s.settle(ctx, p.ID, charge)
		}
		if !errors.Is(err, ErrNoCharge) {
			return p, err
		}
		if s.now().Before(p.attemptUntil) {
			return p, ErrInFlight
		}
	}
	err := s.announce(ctx, func(ctx context.Context, tx *unit) error {
		now, err := lock(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		after := now
		if now.sameAttempt(p) {
			// The row keeps its attempt_until: that nothing is there was seen, but the provider never said it.
			after.State = Voided
			err = s.save(ctx, tx, now, after, &payments.EventVoided)
		}
		p = after
		return err
	})
	return p, err
}

// cancelAuthorized voids. look says that an earlier call may have changed the charge.
func (s *Service) cancelAuthorized(ctx context.Context, p Payment, look bool) (Payment, error) {
	if look {
		charge, err := s.find(ctx, p)
		if err != nil {
			return p, err
		}
		if charge.Status != StatusAuthorized {
			return s.settle(ctx, p.ID, charge)
		}
	}
	return s.void(ctx, p)
}
