package payment

import (
	"context"
	"fmt"

	"github.com/orderflow/orderflow/services/payments"
)

// Capture takes all the money that was set aside for an order. Called again, it answers what it answered before; an
// outcome that got lost is looked up first.
//
// It returns payments.ErrNotAuthorized, ErrCaptureRefused and ErrCancelled, and the retryable ErrProviderUnavailable
// and ErrOutcomeUnknown.
func (s *Service) Capture(ctx context.Context, req payments.CaptureRequest) (payments.Captured, error) {
	p, before, err := s.announceCapture(ctx, req.OrderID)
	if err == nil && p.State == Authorized && before {
		// A capture was asked for earlier, and its answer was lost.
		var charge Charge
		if charge, err = s.find(ctx, p); err == nil {
			p, err = s.settle(ctx, p.ID, charge)
		}
	}
	if err == nil && p.State == Authorized {
		p, err = s.askToCapture(ctx, p)
	}
	if err != nil {
		return payments.Captured{}, err
	}
	if p.cancelled() || p.State == Voided {
		return payments.Captured{}, payments.ErrCancelled
	}
	return payments.Captured{PaymentID: p.ID, Amount: p.Amount}, nil
}

// announceCapture writes down that the provider is asked to capture. before says that it was asked already.
func (s *Service) announceCapture(ctx context.Context, orderID string) (p Payment, before bool, err error) {
	err = s.announce(ctx, func(ctx context.Context, tx *unit) error {
		found := false
		if p, found, err = ofOrder(ctx, tx, orderID); err != nil {
			return err
		}
		switch {
		case !found:
			return payments.ErrNotAuthorized
		case p.cancelled() || p.State == Voided:
			return payments.ErrCancelled
		case p.State.taken() || p.State == Refunded:
			return nil
		case p.State != Authorized:
			return payments.ErrNotAuthorized.WithCause(p.State.check(Captured))
		}
		if before = !p.captureStartedAt.IsZero(); before {
			return nil
		}
		after := p
		after.captureStartedAt = s.now()
		if err := s.save(ctx, tx, p, after, nil); err != nil {
			return err
		}
		p = after
		return nil
	})
	return p, before, err
}

// askToCapture makes the announced call and records its answer. A refusal leaves the announcement in place: it costs a
// look-up, and is never wrong.
func (s *Service) askToCapture(ctx context.Context, p Payment) (Payment, error) {
	calling, cancel := s.calling(ctx)
	defer cancel()
	charge, err := s.Gateway.Capture(calling, p.ref())
	switch {
	case err == nil:
	case refused(err):
		return p, payments.ErrCaptureRefused.WithCause(err)
	default:
		return p, retryable(err)
	}
	if p, err = s.settle(ctx, p.ID, charge); err == nil && p.State == Authorized {
		err = payments.ErrOutcomeUnknown.WithCause(
			fmt.Errorf("the provider captured charge %s, and calls it %s", charge.Reference, charge.Status))
	}
	return p, err
}
