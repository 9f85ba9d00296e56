package payment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// RefundState is where a refund stands.
type RefundState string

// The states of a refund. A pending one reserves its amount; it goes on when it is asked for again by the same key,
// when the payment is cancelled, or when nobody has done either for a while.
const (
	RefundPending   RefundState = "pending"
	RefundSucceeded RefundState = "succeeded"
	RefundFailed    RefundState = "failed"
)

// Refund gives back some or all of a captured payment.
type Refund struct {
	ID, PaymentID string
	// Amount is positive.
	Amount money.Money
	State  RefundState
	// Reason is for people, and RequestedBy is the subject of the caller who gave it.
	Reason, RequestedBy string
	// Failure says why, where the provider refused.
	Failure              *errs.Error
	CreatedAt, UpdatedAt time.Time

	fingerprint  []byte
	attemptUntil time.Time
}

// The origins of a refund. They keep the keys of callers apart from our own.
const (
	originHTTP   = "http"
	originCancel = "cancel"
)

// RefundRequest asks to give money back.
type RefundRequest struct {
	PaymentID string
	// Amount is in minor units of the payment's currency. Zero means all that is left.
	Amount int64
	Reason string
}

// Refund gives money back on behalf of the caller in ctx, under the idempotency key in ctx. Called again with the key,
// it answers what it answered before, and goes on with a refund whose outcome got lost.
//
// It returns ErrNotFound, ErrNotRefundable, ErrRefundTooLarge, ErrRefundRefused, payments.ErrCancelled,
// idempotency.ErrInUse and ErrReused, and the retryable payments.ErrProviderUnavailable and ErrOutcomeUnknown.
func (s *Service) Refund(ctx context.Context, req RefundRequest) (Refund, error) {
	key, ok := idempotency.FromContext(ctx)
	if !ok {
		return Refund{}, ErrKeyMissing
	}
	var (
		p    Payment
		r    Refund
		look bool
	)
	err := s.announce(ctx, func(ctx context.Context, tx *unit) (err error) {
		if p, err = lock(ctx, tx, req.PaymentID); err != nil {
			return err
		}
		r, look, err = s.announceRefund(ctx, tx, p, req, key)
		return err
	})
	switch {
	case err != nil:
		return Refund{}, err
	case r.State == RefundFailed:
		return Refund{}, r.Failure
	case r.State == RefundSucceeded:
		return r, nil
	default:
		return s.makeRefund(ctx, p, r, look)
	}
}

// announceRefund reserves the money, or finds the refund that an earlier call made. look says that the earlier call may
// have had an effect nobody knows of.
func (s *Service) announceRefund(
	ctx context.Context, tx pgx.Tx, p Payment, req RefundRequest, key idempotency.Request,
) (_ Refund, look bool, err error) {
	q := db.New(tx)
	row, err := q.RefundByKey(ctx, db.RefundByKeyParams{
		Origin: originHTTP, RequestedBy: key.Caller, IdempotencyKey: key.Key,
	})
	if err == nil {
		r := refundFromRow(row, p.Amount.Currency)
		switch {
		case r.PaymentID != p.ID || !bytes.Equal(r.fingerprint, key.Fingerprint):
			return r, false, idempotency.ErrReused
		case r.State != RefundPending:
			return r, false, nil
		case s.now().Before(r.attemptUntil):
			return r, false, idempotency.ErrInUse
		}
		r, err = s.updateRefund(ctx, tx, r, RefundPending, nil, s.callUntil())
		return r, true, err
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return Refund{}, false, fmt.Errorf("find the refund: %w", err)
	}
	if p.cancelled() {
		return Refund{}, false, payments.ErrCancelled
	}
	left, err := leftToRefund(ctx, tx, p)
	if err != nil {
		return Refund{}, false, err
	}
	amount := req.Amount
	switch {
	case !p.State.taken():
		return Refund{}, false, ErrNotRefundable
	case amount == 0:
		amount = left
	case amount > left:
		return Refund{}, false, ErrRefundTooLarge
	}
	if amount == 0 {
		return Refund{}, false, ErrNotRefundable.WithMessage("All that is left is reserved by refunds in progress.")
	}
	r, err := s.insertRefund(ctx, tx, p, db.InsertRefundParams{
		Origin: originHTTP, RequestedBy: caller.From(ctx).Subject, IdempotencyKey: key.Key,
		Fingerprint: key.Fingerprint, Amount: amount, Reason: req.Reason,
	})
	return r, false, err
}

// refundsKey is the constraint by which a caller's key belongs to one refund.
const refundsKey = "refunds_key"

func (s *Service) insertRefund(ctx context.Context, tx pgx.Tx, p Payment, row db.InsertRefundParams) (Refund, error) {
	row.ID, row.PaymentID, row.CreatedAt, row.AttemptUntil = id.New(id.Refund), p.ID, s.now(), ptr(s.callUntil())
	made, err := db.New(tx).InsertRefund(ctx, row)
	if postgres.ConstraintName(err) == refundsKey {
		// Meanwhile a refund of another payment has taken the key. The lock on this payment does not keep it away.
		return Refund{}, idempotency.ErrReused.WithCause(err)
	}
	if err != nil {
		return Refund{}, fmt.Errorf("insert a refund of %s: %w", p.ID, err)
	}
	return refundFromRow(made, p.Amount.Currency), nil
}

// leftToRefund is what was captured and is neither refunded nor reserved by a pending refund. The payment must be
// locked.
func leftToRefund(ctx context.Context, tx pgx.Tx, p Payment) (int64, error) {
	refunds, err := refundsOf(ctx, tx, p)
	if err != nil {
		return 0, err
	}
	left := p.Captured - p.Refunded
	for _, r := range refunds {
		if r.State == RefundPending {
			left -= r.Amount.Amount
		}
	}
	return left, nil
}

func refundsOf(ctx context.Context, tx pgx.Tx, p Payment) ([]Refund, error) {
	rows, err := db.New(tx).RefundsOfPayment(ctx, p.ID)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of %s: %w", p.ID, err)
	}
	refunds := make([]Refund, 0, len(rows))
	for _, row := range rows {
		refunds = append(refunds, refundFromRow(row, p.Amount.Currency))
	}
	return refunds, nil
}

// key is what the provider knows the refund by.
func (r Refund) key(p Payment) string { return p.OrderID + "/refund/" + r.ID }

// makeRefund makes the announced call and records its answer. look says that the call may have been made before.
func (s *Service) makeRefund(ctx context.Context, p Payment, r Refund, look bool) (Refund, error) {
	if look {
		charge, err := s.find(ctx, p)
		if err != nil {
			return r, err
		}
		if _, made := charge.Refunds[r.key(p)]; made {
			return s.settleRefund(ctx, r, nil)
		}
	}
	calling, cancel := s.calling(ctx)
	defer cancel()
	err := s.Gateway.Refund(calling, RefundCall{Charge: p.ref(), Key: r.key(p), Amount: r.Amount, Reason: r.Reason})
	switch {
	case err == nil:
		return s.settleRefund(ctx, r, nil)
	case refused(err):
		failure := ErrRefundRefused.WithCause(err)
		if r, err := s.settleRefund(ctx, r, failure); err != nil || r.State == RefundSucceeded {
			return r, err
		}
		return r, failure
	}
	// The next call by the same key may go on at once: this one is over.
	recordErr := s.record(ctx, func(ctx context.Context, tx *unit) error {
		now, err := lockRefund(ctx, tx, r)
		if err != nil || now.State != RefundPending || !now.attemptUntil.Equal(r.attemptUntil) {
			return err
		}
		_, err = s.updateRefund(ctx, tx, now, RefundPending, nil, zeroTime)
		return err
	})
	if recordErr != nil {
		return r, recordErr
	}
	return r, retryable(err)
}

// settleRefund records that the money was given back, or why the provider refused. Only the first answer counts.
func (s *Service) settleRefund(ctx context.Context, r Refund, failure *errs.Error) (Refund, error) {
	err := s.record(ctx, func(ctx context.Context, tx *unit) error {
		before, err := lock(ctx, tx, r.PaymentID)
		if err != nil {
			return err
		}
		if r, err = lockRefund(ctx, tx, r); err != nil || r.State != RefundPending {
			return err
		}
		if failure != nil {
			r, err = s.updateRefund(ctx, tx, r, RefundFailed, failure, zeroTime)
			return err
		}
		if r, err = s.updateRefund(ctx, tx, r, RefundSucceeded, nil, zeroTime); err != nil {
			return err
		}
		after := before
		after.Refunded += r.Amount.Amount
		after.State = PartiallyRefunded
		if after.Refunded == after.Captured {
			after.State = Refunded
		}
		return s.save(ctx, tx, before, after, &payments.EventRefunded)
	})
	return r, err
}

// refundRest gives back all that Cancel finds captured. It first completes the refunds under way: one that fails later
// would leave money taken.
func (s *Service) refundRest(ctx context.Context, p Payment) (Payment, error) {
	var (
		pending []Refund
		rest    Refund
	)
	err := s.announce(ctx, func(ctx context.Context, tx *unit) error {
		pending, rest = nil, Refund{} // What a transaction that PostgreSQL gave up has found is void.
		locked, err := lock(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		p = locked
		refunds, err := refundsOf(ctx, tx, p)
		if err != nil {
			return err
		}
		for _, r := range refunds {
			if r.State == RefundPending {
				pending = append(pending, r)
			}
		}
		if left := p.Captured - p.Refunded; len(pending) == 0 && left > 0 {
			// The flag is up, so no caller can have reserved any of it.
			rest, err = s.insertRefund(ctx, tx, p, db.InsertRefundParams{
				Origin: originCancel, RequestedBy: originCancel, IdempotencyKey: id.New(id.Refund),
				Fingerprint: []byte{}, Amount: left, Reason: "The order was undone.",
			})
			pending = append(pending, rest)
		}
		return err
	})
	if err != nil {
		return p, err
	}
	for _, r := range pending {
		// Announced by whomever, the provider knows it by its key and makes it once.
		_, err := s.makeRefund(ctx, p, r, r.ID != rest.ID)
		if errors.Is(err, ErrRefundRefused) && r.ID != rest.ID {
			continue // What it had reserved is part of the rest now.
		}
		if err != nil {
			return p, err
		}
	}
	return s.Payment(ctx, p.ID)
}

func lockRefund(ctx context.Context, tx pgx.Tx, r Refund) (Refund, error) {
	row, err := db.New(tx).RefundForUpdate(ctx, r.ID)
	if err != nil {
		return r, fmt.Errorf("lock refund %s: %w", r.ID, err)
	}
	return refundFromRow(row, r.Amount.Currency), nil
}

func (s *Service) updateRefund(
	ctx context.Context, tx pgx.Tx, r Refund, state RefundState, failure *errs.Error, attemptUntil time.Time,
) (Refund, error) {
	u := db.UpdateRefundParams{ID: r.ID, State: string(state), AttemptUntil: ptr(attemptUntil), UpdatedAt: s.now()}
	if failure != nil {
		u.FailureCode, u.FailureMessage = &failure.Code, &failure.Message
	}
	row, err := db.New(tx).UpdateRefund(ctx, u)
	if err != nil {
		return r, fmt.Errorf("update refund %s: %w", r.ID, err)
	}
	return refundFromRow(row, r.Amount.Currency), nil
}

func refundFromRow(row db.Refund, currency string) Refund {
	r := Refund{
		ID: row.ID, PaymentID: row.PaymentID, Amount: money.Of(row.Amount, currency), State: RefundState(row.State),
		Reason: row.Reason, RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		fingerprint: row.Fingerprint, attemptUntil: deref(row.AttemptUntil),
	}
	if row.FailureCode != nil {
		r.Failure = errs.New(errs.Declined, *row.FailureCode, deref(row.FailureMessage))
	}
	return r
}
