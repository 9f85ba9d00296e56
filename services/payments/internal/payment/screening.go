package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// FraudSettings is how payments are screened.
type FraudSettings struct {
	// Limits is what one customer's live payments may come to, in minor units; one limit per currency. A currency that
	// is not listed has no limit.
	Limits []money.Money
	// Maintenance holds back new authorizations. What is authorized can still be captured, cancelled and refunded.
	Maintenance bool
	UpdatedAt   time.Time
	// UpdatedBy is the subject of the caller who made the last change.
	UpdatedBy string
}

var (
	errUnknownCurrency = errs.New(errs.Invalid, "fraud_limits_invalid", "A limit is for a currency that does not exist.")
	errTwoLimits       = errs.New(errs.Invalid, "fraud_limits_invalid", "There is more than one limit for a currency.")
)

// FraudSettings returns the settings in force.
func (s *Service) FraudSettings(ctx context.Context) (settings FraudSettings, err error) {
	err = postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		settings, err = fraudSettings(ctx, tx)
		return err
	})
	return settings, err
}

func fraudSettings(ctx context.Context, tx pgx.Tx) (FraudSettings, error) {
	q := db.New(tx)
	row, err := q.FraudSettings(ctx)
	if err != nil {
		return FraudSettings{}, fmt.Errorf("read the fraud settings: %w", err)
	}
	limits, err := q.FraudLimits(ctx)
	if err != nil {
		return FraudSettings{}, fmt.Errorf("read the fraud limits: %w", err)
	}
	settings := FraudSettings{
		Limits: make([]money.Money, 0, len(limits)), Maintenance: row.Maintenance,
		UpdatedAt: row.UpdatedAt, UpdatedBy: row.UpdatedBy,
	}
	for _, l := range limits {
		settings.Limits = append(settings.Limits, money.Of(l.Amount, l.Currency))
	}
	return settings, nil
}

// SetFraudSettings replaces limits and maintenance mode. They hold for payments that are authorized from then on.
func (s *Service) SetFraudSettings(
	ctx context.Context, limits []money.Money, maintenance bool,
) (settings FraudSettings, err error) {
	seen := map[string]bool{}
	for i, l := range limits {
		field := errs.Field{Pointer: fmt.Sprintf("/limits/%d/currency", i)}
		switch {
		case !money.KnownCurrency(l.Currency) || l.Currency == noCurrency:
			field.Code, field.Message = "unknown_currency", "This is not the code of a currency."
			return FraudSettings{}, errUnknownCurrency.WithFields(field)
		case seen[l.Currency]:
			field.Code, field.Message = "duplicate", "This currency has a limit already."
			return FraudSettings{}, errTwoLimits.WithFields(field)
		}
		seen[l.Currency] = true
	}
	err = postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		q := db.New(tx)
		// First, because it locks the one row: two changes at the same time follow each other.
		err := q.UpdateFraudSettings(ctx, db.UpdateFraudSettingsParams{
			Maintenance: maintenance, UpdatedBy: caller.From(ctx).Subject, UpdatedAt: s.now(),
		})
		if err != nil {
			return fmt.Errorf("update the fraud settings: %w", err)
		}
		if err := q.DeleteFraudLimits(ctx); err != nil {
			return fmt.Errorf("replace the fraud limits: %w", err)
		}
		for _, l := range limits {
			if err := q.InsertFraudLimit(ctx, db.InsertFraudLimitParams{Currency: l.Currency, Amount: l.Amount}); err != nil {
				return fmt.Errorf("replace the fraud limits: %w", err)
			}
		}
		settings, err = fraudSettings(ctx, tx)
		return err
	})
	return settings, err
}

func refuseInMaintenance(ctx context.Context, tx pgx.Tx) error {
	settings, err := db.New(tx).FraudSettings(ctx)
	if err != nil {
		return fmt.Errorf("read the fraud settings: %w", err)
	}
	if settings.Maintenance {
		return payments.ErrMaintenance
	}
	return nil
}

// raiseExposure adds a new payment to what its customer's payments come to, unless that exceeds the limit. The row of
// the customer stays locked until the transaction ends, so that payments at the same time cannot exceed it together.
func raiseExposure(ctx context.Context, tx pgx.Tx, p Payment) (within bool, err error) {
	q := db.New(tx)
	err = q.OpenExposure(ctx, db.OpenExposureParams{CustomerID: p.CustomerID, Currency: p.Amount.Currency})
	if err != nil {
		return false, fmt.Errorf("open the exposure: %w", err)
	}
	n, err := q.RaiseExposure(ctx, db.RaiseExposureParams{
		Added: p.Amount.Amount, CustomerID: p.CustomerID, Currency: p.Amount.Currency,
	})
	if err != nil {
		return false, fmt.Errorf("raise the exposure: %w", err)
	}
	return n == 1, nil
}
