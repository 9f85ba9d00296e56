package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// Payment returns a payment, or ErrNotFound.
func (s *Service) Payment(ctx context.Context, id string) (Payment, error) {
	row, err := db.New(s.Pool).Payment(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payment{}, ErrNotFound
	}
	if err != nil {
		return Payment{}, postgres.Interpret(fmt.Errorf("read payment %s: %w", id, err))
	}
	return fromRow(row), nil
}

// PaymentWithRefunds returns a payment and its refunds, oldest first, as of the same moment; or ErrNotFound.
func (s *Service) PaymentWithRefunds(ctx context.Context, id string) (p Payment, refunds []Refund, err error) {
	err = postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		// One snapshot makes the two reads agree, and holds up nobody.
		if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"); err != nil {
			return err
		}
		row, err := db.New(tx).Payment(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("read payment %s: %w", id, err)
		}
		p = fromRow(row)
		refunds, err = refundsOf(ctx, tx, p)
		return err
	})
	return p, refunds, err
}

// Filter chooses payments. Empty fields choose all.
type Filter struct {
	OrderID    string
	CustomerID string
	State      State
}

// newest is before every row in a list that begins with the newest.
var newest = page.Position{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// Payments returns up to limit payments, newest first, that come after a position; all of them come after nil.
func (s *Service) Payments(ctx context.Context, f Filter, after *page.Position, limit int) ([]Payment, error) {
	if after == nil {
		after = &newest
	}
	rows, err := s.rows(ctx, f, *after, int32(limit)) //nolint:gosec // A page's limit is small.
	if err != nil {
		return nil, postgres.Interpret(fmt.Errorf("list payments: %w", err))
	}
	list := make([]Payment, 0, len(rows))
	for _, row := range rows {
		list = append(list, fromRow(row))
	}
	return list, nil
}

// rows runs the query that an index answers without sorting.
func (s *Service) rows(ctx context.Context, f Filter, after page.Position, limit int32) ([]db.Payment, error) {
	q := db.New(s.Pool)
	switch {
	case f.OrderID != "":
		row, err := q.PaymentOfOrder(ctx, f.OrderID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		behind := row.CreatedAt.Before(after.Time) || row.CreatedAt.Equal(after.Time) && row.ID < after.ID
		if err != nil || !behind || f.CustomerID != "" && f.CustomerID != deref(row.CustomerID) ||
			f.State != "" && string(f.State) != row.State {
			return nil, err
		}
		return []db.Payment{row}, nil
	case f.CustomerID != "":
		return q.NewestPaymentsOfCustomer(ctx, db.NewestPaymentsOfCustomerParams{
			CustomerID: f.CustomerID, BeforeTime: after.Time, BeforeID: after.ID,
			State: ptr(string(f.State)), MaxRows: limit,
		})
	case f.State != "":
		return q.NewestPaymentsInState(ctx, db.NewestPaymentsInStateParams{
			State: string(f.State), BeforeTime: after.Time, BeforeID: after.ID, MaxRows: limit,
		})
	default:
		return q.NewestPayments(ctx, db.NewestPaymentsParams{BeforeTime: after.Time, BeforeID: after.ID, MaxRows: limit})
	}
}
