// Package sandbox plays a payment provider: it behaves by token as Stripe's test payment methods do, and adds tokens
// for answers that get lost. It is another company: its books are tables in a schema of its own, written in
// transactions of its own, which nobody joins with ours. They survive whatever happens to the payments service, so that
// an audit can hold the two against each other. It must not read or write anything else.
package sandbox

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox/books"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the schema of the sandbox.
var Migrations = postgres.Migrations{Name: "sandbox", FS: files}

// The tokens. Those that begin with pm_card_ are named and behave as Stripe's test payment methods; any other token
// that is not listed is declined.
//
//nolint:gosec // They are names of behaviours, not credentials.
const (
	TokenVisa              = "pm_card_visa"
	TokenMastercard        = "pm_card_mastercard"
	TokenDeclined          = "pm_card_chargeDeclined"
	TokenInsufficientFunds = "pm_card_chargeDeclinedInsufficientFunds"
	TokenFraudulent        = "pm_card_chargeDeclinedFraudulent"
	// TokenProcessingError fails the first time, and is approved when tried again.
	TokenProcessingError = "pm_card_chargeDeclinedProcessingError"
	// TokenTimeout is approved, but the answer never comes.
	TokenTimeout = "pm_sandbox_timeout"
	// TokenTimeoutNotCharged gets no answer and makes nothing the first time, and is approved when tried again.
	TokenTimeoutNotCharged = "pm_sandbox_timeoutNotCharged"
	// TokenSlow is approved after Slowness.
	TokenSlow = "pm_sandbox_slow"
	// TokenCaptureRefused is approved, but cannot be captured.
	TokenCaptureRefused = "pm_sandbox_captureRefused"
	// TokenCaptureTimeout is captured, but the answer never comes the first time.
	TokenCaptureTimeout = "pm_sandbox_captureTimeout"
	// TokenVoidDown cannot be voided while the outage of voids lasts, which is until SetOutage ends it.
	TokenVoidDown = "pm_sandbox_voidDown"
)

// Slowness is how long TokenSlow takes.
const Slowness = 2 * time.Second

// bookingTimeout bounds the sandbox's own work. The caller's giving up does not undo it, as with any other company.
const bookingTimeout = 5 * time.Second

// Gateway is the provider.
type Gateway struct {
	pool *pgxpool.Pool
}

var _ payment.Gateway = (*Gateway)(nil)

// New returns a provider whose books are in the schema that Migrations makes.
func New(pool *pgxpool.Pool) *Gateway { return &Gateway{pool: pool} }

// Authorize is payment.Gateway's.
func (g *Gateway) Authorize(ctx context.Context, call payment.AuthorizeCall) (charge payment.Charge, err error) {
	wait := atOnce
	err = g.book(ctx, func(ctx context.Context, q *books.Queries) error {
		wait = atOnce
		// Calls with the same key wait for each other here.
		attempt, err := q.CountAttempt(ctx, call.Key)
		if err != nil {
			return fmt.Errorf("sandbox: count the attempt: %w", err)
		}
		row, err := q.Charge(ctx, call.Key)
		if errors.Is(err, pgx.ErrNoRows) {
			switch {
			case attempt == 1 && call.Token == TokenProcessingError:
				wait = processingError
				return nil
			case attempt == 1 && call.Token == TokenTimeoutNotCharged:
				wait = forEver
				return nil
			case call.Token == TokenTimeout:
				wait = forEver
			case call.Token == TokenSlow:
				wait = slowly
			}
			row, err = makeCharge(ctx, q, call)
		}
		if err != nil {
			return fmt.Errorf("sandbox: charge %s: %w", call.Key, err)
		}
		charge = fromBooks(row, nil)
		return nil
	})
	return answer(ctx, wait, charge, err)
}

func makeCharge(ctx context.Context, q *books.Queries, call payment.AuthorizeCall) (books.SandboxCharge, error) {
	row := books.InsertChargeParams{
		Key: call.Key, Reference: "sbx_" + uuid.Must(uuid.NewV7()).String(), OrderID: call.OrderID, Token: call.Token,
		Currency: call.Amount.Currency, Authorized: call.Amount.Amount, Status: string(payment.StatusAuthorized),
		CreatedAt: time.Now().UTC(),
	}
	if decline := declineOf(call.Token); decline != nil {
		row.Status, row.Decline, row.Authorized = string(payment.StatusDeclined), decline.Code, 0
	}
	return q.InsertCharge(ctx, row)
}

func declineOf(token string) *errs.Error {
	switch token {
	case TokenVisa, TokenMastercard, TokenProcessingError, TokenTimeout, TokenTimeoutNotCharged, TokenSlow,
		TokenCaptureRefused, TokenCaptureTimeout, TokenVoidDown:
		return nil
	case TokenInsufficientFunds:
		return payments.ErrInsufficientFunds
	case TokenFraudulent:
		return payments.ErrFraudSuspected
	default:
		return payments.ErrDeclined
	}
}

// Capture is payment.Gateway's.
func (g *Gateway) Capture(ctx context.Context, ref payment.ChargeRef) (charge payment.Charge, err error) {
	wait := atOnce
	err = g.bookCharge(ctx, ref.Key, func(ctx context.Context, q *books.Queries, row books.SandboxCharge) error {
		if row.Status == string(payment.StatusAuthorized) {
			if row.Token == TokenCaptureRefused {
				return payments.ErrCaptureRefused
			}
			if row.Token == TokenCaptureTimeout {
				wait = forEver
			}
			if err := q.CaptureCharge(ctx, row.Key); err != nil {
				return err
			}
			row.Status = string(payment.StatusCaptured)
		}
		charge = fromBooks(row, nil)
		return nil
	})
	return answer(ctx, wait, charge, err)
}

// Void is payment.Gateway's.
func (g *Gateway) Void(ctx context.Context, ref payment.ChargeRef) (charge payment.Charge, err error) {
	err = g.bookCharge(ctx, ref.Key, func(ctx context.Context, q *books.Queries, row books.SandboxCharge) error {
		if row.Status == string(payment.StatusAuthorized) {
			if row.Token == TokenVoidDown {
				down, err := q.Outage(ctx)
				if err != nil {
					return err
				}
				if down {
					return payments.ErrProviderUnavailable
				}
			}
			if err := q.VoidCharge(ctx, row.Key); err != nil {
				return err
			}
			row.Status = string(payment.StatusVoided)
		}
		charge = fromBooks(row, nil)
		return nil
	})
	return charge, err
}

// Refund is payment.Gateway's.
func (g *Gateway) Refund(ctx context.Context, call payment.RefundCall) error {
	return g.bookCharge(ctx, call.Charge.Key, func(ctx context.Context, q *books.Queries, row books.SandboxCharge) error {
		refunds, err := q.RefundsOfCharge(ctx, row.Key)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(refunds, func(r books.SandboxRefund) bool { return r.Key == call.Key }) {
			return nil
		}
		if call.Amount.Currency != row.Currency || call.Amount.Amount > row.Captured-row.Refunded {
			return payment.ErrRefundRefused
		}
		err = q.InsertRefund(ctx, books.InsertRefundParams{
			Key: call.Key, ChargeKey: row.Key, Amount: call.Amount.Amount, CreatedAt: time.Now().UTC(),
		})
		if err != nil {
			return err
		}
		return q.RefundCharge(ctx, books.RefundChargeParams{Key: row.Key, Refunded: call.Amount.Amount})
	})
}

// Find is payment.Gateway's.
func (g *Gateway) Find(ctx context.Context, ref payment.ChargeRef) (charge payment.Charge, err error) {
	err = g.bookCharge(ctx, ref.Key, func(ctx context.Context, q *books.Queries, row books.SandboxCharge) error {
		refunds, err := q.RefundsOfCharge(ctx, row.Key)
		charge = fromBooks(row, refunds)
		return err
	})
	return charge, err
}

// bookCharge runs a transaction on one charge, or returns payment.ErrNoCharge.
func (g *Gateway) bookCharge(
	ctx context.Context, key string, fn func(context.Context, *books.Queries, books.SandboxCharge) error,
) error {
	return g.book(ctx, func(ctx context.Context, q *books.Queries) error {
		row, err := q.ChargeForUpdate(ctx, key)
		if errors.Is(err, pgx.ErrNoRows) {
			return payment.ErrNoCharge
		}
		if err == nil {
			err = fn(ctx, q, row)
		}
		if err != nil {
			return fmt.Errorf("sandbox: charge %s: %w", key, err)
		}
		return nil
	})
}

// book runs a transaction on the books, to its end.
func (g *Gateway) book(ctx context.Context, fn func(ctx context.Context, q *books.Queries) error) error {
	if err := ctx.Err(); err != nil {
		return err // The request never leaves.
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookingTimeout)
	defer cancel()
	return postgres.InTx(ctx, g.pool, func(tx pgx.Tx) error { return fn(ctx, books.New(tx)) })
}

// behaviour is how the provider answers, once its books are written.
type behaviour int

const (
	atOnce behaviour = iota
	slowly
	forEver
	processingError
)

func answer(ctx context.Context, b behaviour, charge payment.Charge, err error) (payment.Charge, error) {
	if err != nil {
		return payment.Charge{}, err
	}
	switch b {
	case processingError:
		return payment.Charge{}, payment.ErrProcessing
	case forEver:
		<-ctx.Done()
		return payment.Charge{}, fmt.Errorf("sandbox: the answer got lost: %w", ctx.Err())
	case slowly:
		select {
		case <-ctx.Done():
			return payment.Charge{}, fmt.Errorf("sandbox: the answer was too slow: %w", ctx.Err())
		case <-time.After(Slowness):
		}
	case atOnce:
	}
	return charge, nil
}

func fromBooks(row books.SandboxCharge, refunds []books.SandboxRefund) payment.Charge {
	c := payment.Charge{Reference: row.Reference, Status: payment.Status(row.Status), Refunds: map[string]int64{}}
	if c.Status == payment.StatusDeclined {
		c.Decline = declineOf(row.Token)
	}
	for _, r := range refunds {
		c.Refunds[r.Key] = r.Amount
	}
	return c
}
