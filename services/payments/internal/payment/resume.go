package payment

import (
	"context"
	"errors"
	"fmt"

	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// resumeBatch is how many refunds one call of ResumeRefunds takes on.
const resumeBatch = 100

// ResumeRefunds goes on with refunds that are pending and that nobody has touched for as long as a call may be under
// way: their process died, or the provider failed and the client did not ask again. It does what the same key would do,
// and returns how many refunds have an outcome by that, be it that the provider refused. The others stay pending and
// are taken on again after the same while; err joins their failures.
//
// Several may run at the same time, and with clients that ask again: each refund belongs to whoever announces first.
func (s *Service) ResumeRefunds(ctx context.Context) (resumed int, err error) {
	idle, err := db.New(s.Pool).IdleRefunds(ctx, db.IdleRefundsParams{
		IdleSince: s.now().Add(-s.Timeout - s.Margin), MaxRows: resumeBatch,
	})
	if err != nil {
		return 0, postgres.Interpret(fmt.Errorf("find idle refunds: %w", err))
	}
	var failures []error
	for _, row := range idle {
		if ctx.Err() != nil {
			break // The process stops; what is left is for the next one.
		}
		p, r, announced, err := s.announceAgain(ctx, row)
		if err != nil {
			return resumed, errors.Join(append(failures, err)...) // The database is away: the others would fail too.
		}
		if !announced {
			continue
		}
		if _, err := s.makeRefund(ctx, p, r, true); err != nil && !errors.Is(err, ErrRefundRefused) {
			failures = append(failures, fmt.Errorf("resume refund %s: %w", r.ID, err))
			continue
		}
		resumed++
	}
	return resumed, errors.Join(failures...)
}

// announceAgain writes down that the provider is asked about an idle refund once more. announced is false where
// somebody else was faster. The payment is locked first, as by everybody who announces a refund.
func (s *Service) announceAgain(
	ctx context.Context, row db.IdleRefundsRow,
) (p Payment, r Refund, announced bool, err error) {
	err = s.announce(ctx, func(ctx context.Context, tx *unit) error {
		announced = false
		if p, err = lock(ctx, tx, row.PaymentID); err != nil {
			return err
		}
		r, err = lockRefund(ctx, tx, Refund{ID: row.ID, Amount: money.Of(0, p.Amount.Currency)})
		if err != nil || r.State != RefundPending || s.now().Before(r.UpdatedAt.Add(s.Timeout+s.Margin)) {
			return err
		}
		announced = true
		r, err = s.updateRefund(ctx, tx, r, RefundPending, nil, s.callUntil())
		return err
	})
	return p, r, announced, err
}
