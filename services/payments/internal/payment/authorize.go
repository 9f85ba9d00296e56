package payment

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// Authorize screens for fraud and then asks the provider to set the price of an order aside. Called again, it answers
// what it answered before; an outcome that got lost is looked up before anything is tried again.
//
// It returns payments.ErrDeclined, ErrInsufficientFunds, ErrFraudSuspected or ErrLimitExceeded for a declined payment;
// ErrCancelled once the order's payment was cancelled; ErrAmountMismatch; and retryable ones: ErrMaintenance,
// ErrProviderUnavailable, ErrOutcomeUnknown and ErrInFlight.
func (s *Service) Authorize(ctx context.Context, req payments.AuthorizeRequest) (payments.Authorization, error) {
	if err := validate(req); err != nil {
		return payments.Authorization{}, err
	}
	p, announced, err := s.announceAuthorization(ctx, req)
	if err == nil && !announced && p.State.unresolved() && !p.cancelled() {
		p, announced, err = s.resolve(ctx, p)
	}
	if err == nil && announced {
		p, err = s.askToAuthorize(ctx, p, req)
	}
	if err == nil && p.State == Voided {
		err = s.releaseLate(ctx, p)
	}
	if err != nil {
		return payments.Authorization{}, err
	}
	return p.authorization()
}

// authorization is the payment as an answer to Authorize.
func (p Payment) authorization() (payments.Authorization, error) {
	switch {
	case p.State == Declined:
		return payments.Authorization{}, p.Decline
	case p.cancelled() || p.State == Voided:
		return payments.Authorization{}, payments.ErrCancelled
	case p.State.unresolved():
		return payments.Authorization{}, ErrInFlight
	default:
		return payments.Authorization{PaymentID: p.ID, Amount: p.Amount}, nil
	}
}

func validate(req payments.AuthorizeRequest) error {
	var fields []errs.Field
	check := func(ok bool, pointer, code, message string) {
		if !ok {
			fields = append(fields, errs.Field{Pointer: pointer, Code: code, Message: message})
		}
	}
	check(id.Valid(id.Order, req.OrderID), "/order_id", "malformed", "This is not the identifier of an order.")
	check(req.CustomerID != "", "/customer_id", "required", "The customer is missing.")
	check(req.Token != "", "/token", "required", "The means of payment is missing.")
	check(req.Amount.Amount > 0 && req.Amount.Amount <= money.MaxMinor, "/amount/amount", "out_of_range",
		"The amount must be positive.")
	check(money.KnownCurrency(req.Amount.Currency) && req.Amount.Currency != noCurrency, "/amount/currency",
		"unknown_currency", "This is not the code of a currency.")
	if len(fields) > 0 {
		return errMalformed.WithFields(fields...)
	}
	return nil
}

// announceAuthorization makes the payment, or finds it. announced says that the provider is to be asked now.
func (s *Service) announceAuthorization(
	ctx context.Context, req payments.AuthorizeRequest,
) (p Payment, announced bool, err error) {
	err = s.announce(ctx, func(ctx context.Context, tx *unit) error {
		announced = false // It may be true after a transaction that PostgreSQL gave up.
		var found bool
		if p, found, err = ofOrder(ctx, tx, req.OrderID); err != nil {
			return err
		}
		if !found {
			if p, announced, err = s.open(ctx, tx, req); err != nil || p.ID != "" {
				return err
			}
			// Another call has made it meanwhile.
			if p, _, err = ofOrder(ctx, tx, req.OrderID); err != nil {
				return err
			}
		}
		if p.cancelled() || p.State == Declined {
			return nil
		}
		if p.Amount != req.Amount {
			return payments.ErrAmountMismatch
		}
		if p.State == Authorizing && p.attemptUntil.IsZero() {
			announced = true
			p, err = s.announceAttempt(ctx, tx, p)
			return err
		}
		return nil
	})
	return p, announced, err
}

// open screens a new payment and writes it down. It returns the zero Payment where the order has one already.
func (s *Service) open(
	ctx context.Context, tx *unit, req payments.AuthorizeRequest,
) (p Payment, announced bool, err error) {
	if err := refuseInMaintenance(ctx, tx); err != nil {
		return Payment{}, false, err
	}
	now := s.now()
	p = Payment{
		ID: id.New(id.Payment), OrderID: req.OrderID, CustomerID: req.CustomerID, State: Authorizing,
		Amount: req.Amount, CreatedAt: now, UpdatedAt: now, attempt: 1, attemptUntil: s.callUntil(),
	}
	// Before the exposure: whoever locks both takes the payment first.
	if made, err := insert(ctx, tx, p); err != nil || !made {
		return Payment{}, false, err
	}
	within, err := raiseExposure(ctx, tx, p)
	if err != nil || within {
		return p, within, err
	}
	p.State, p.Decline, p.attemptUntil = Declined, payments.ErrLimitExceeded, zeroTime
	if err := db.New(tx).UpdatePayment(ctx, p.update(now)); err != nil {
		return Payment{}, false, fmt.Errorf("decline payment %s: %w", p.ID, err)
	}
	return p, false, s.publish(ctx, tx, p, now, &payments.EventDeclined)
}

// insert writes a new payment down. It reports false where the order has one already.
func insert(ctx context.Context, tx pgx.Tx, p Payment) (made bool, err error) {
	n, err := db.New(tx).InsertPayment(ctx, db.InsertPaymentParams{
		ID: p.ID, OrderID: p.OrderID, CustomerID: ptr(p.CustomerID), State: string(p.State),
		Amount: p.Amount.Amount, Currency: p.Amount.Currency,
		AttemptUntil: ptr(p.attemptUntil), CancelledAt: ptr(p.cancelledAt), CreatedAt: p.CreatedAt,
	})
	if err != nil {
		return false, fmt.Errorf("insert the payment of %s: %w", p.OrderID, err)
	}
	return n == 1, nil
}

// announceAttempt writes down that the provider is asked again. The payment must be locked.
func (s *Service) announceAttempt(ctx context.Context, tx *unit, before Payment) (Payment, error) {
	if err := refuseInMaintenance(ctx, tx); err != nil {
		return before, err
	}
	after := before
	after.State, after.attemptUntil = Authorizing, s.callUntil()
	return after, s.save(ctx, tx, before, after, nil)
}

// resolve finds out what became of an attempt whose answer nobody has. announced says that it came to nothing, and
// that the provider is to be asked again.
func (s *Service) resolve(ctx context.Context, p Payment) (_ Payment, announced bool, err error) {
	charge, err := s.find(ctx, p)
	if err == nil {
		p, err = s.settle(ctx, p.ID, charge)
		return p, false, err
	}
	if !errors.Is(err, ErrNoCharge) {
		return p, false, err
	}
	if s.now().Before(p.attemptUntil) {
		return p, false, ErrInFlight
	}
	err = s.announce(ctx, func(ctx context.Context, tx *unit) error {
		announced = false
		now, err := lock(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		if !now.sameAttempt(p) || now.cancelled() {
			p = now
			return nil
		}
		announced = true
		p, err = s.announceAttempt(ctx, tx, now)
		return err
	})
	return p, announced, err
}

// sameAttempt reports whether the payment still waits for the answer to the attempt that p was read with.
func (p Payment) sameAttempt(q Payment) bool {
	return p.State.unresolved() && p.attemptUntil.Equal(q.attemptUntil)
}

// askToAuthorize makes the announced call and records its answer.
func (s *Service) askToAuthorize(ctx context.Context, p Payment, req payments.AuthorizeRequest) (Payment, error) {
	// The time began to run with the announcement, so that a process which slept in between does not call too late.
	calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.attemptUntil.Add(-s.Margin).Sub(s.now()))
	defer cancel()
	charge, err := s.Gateway.Authorize(calling, AuthorizeCall{
		ChargeRef: p.ref(), OrderID: p.OrderID, Amount: p.Amount, Token: req.Token,
	})
	if err == nil {
		return s.settleAuthorization(ctx, p, charge)
	}
	recordErr := s.record(ctx, func(ctx context.Context, tx *unit) error {
		now, err2 := lock(ctx, tx, p.ID)
		if err2 != nil || !now.sameAttempt(p) {
			return err2
		}
		after, event := now.withoutAnswer(err)
		return s.save(ctx, tx, now, after, event)
	})
	if recordErr != nil {
		return p, recordErr
	}
	return p, retryable(err)
}

// withoutAnswer returns the payment as it is after an attempt that failed with err.
func (p Payment) withoutAnswer(err error) (Payment, *contract.Event[payments.Changed]) {
	if nothingHappened(err) {
		if errors.Is(err, ErrProcessing) {
			p.attempt++
		}
		p.attemptUntil = zeroTime
		return p, nil
	}
	if p.State == Unknown {
		return p, nil
	}
	p.State = Unknown
	return p, &payments.EventOutcomeUnknown
}

// settleAuthorization records the provider's answer. Where the payment was voided meanwhile, because the answer came
// later than any should, the charge is voided too.
func (s *Service) settleAuthorization(ctx context.Context, p Payment, charge Charge) (Payment, error) {
	p, err := s.settle(ctx, p.ID, charge)
	if err == nil && p.State == Voided && charge.Status == StatusAuthorized {
		return s.void(ctx, p)
	}
	return p, err
}

// releaseLate voids what a late attempt may have set aside after its payment was voided on the strength of a look-up.
func (s *Service) releaseLate(ctx context.Context, p Payment) error {
	if p.attemptUntil.IsZero() {
		return nil
	}
	charge, err := s.find(ctx, p)
	switch {
	case errors.Is(err, ErrNoCharge):
		return nil
	case err != nil:
		return err
	case charge.Status != StatusAuthorized:
		return nil
	default:
		_, err = s.void(ctx, p)
		return err
	}
}

// void lets the money of a charge go and records the answer, which may be that it was captured before.
func (s *Service) void(ctx context.Context, p Payment) (Payment, error) {
	calling, cancel := s.calling(ctx)
	defer cancel()
	charge, err := s.Gateway.Void(calling, p.ref())
	if err != nil {
		return p, retryable(err)
	}
	return s.settle(ctx, p.ID, charge)
}
