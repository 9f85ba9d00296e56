package sandbox

import (
	"context"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox/books"
)

// Charge is one line of the provider's books. Amounts are in minor units of its currency.
type Charge struct {
	Key, Reference, OrderID, Status, Currency string
	Authorized, Captured, Refunded, Voided    int64
	CreatedAt                                 time.Time
}

// Charges returns up to limit charges, newest first, that come after a position; all of them come after nil. An orderID
// chooses those of one order.
func (g *Gateway) Charges(ctx context.Context, orderID string, after *page.Position, limit int) ([]Charge, error) {
	if after == nil {
		after = &page.Position{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	q := books.New(g.pool)
	var (
		rows    []books.SandboxCharge
		err     error
		maxRows = int32(limit) //nolint:gosec // A page's limit is small.
	)
	if orderID == "" {
		rows, err = q.NewestCharges(ctx, books.NewestChargesParams{
			BeforeTime: after.Time, BeforeReference: after.ID, MaxRows: maxRows,
		})
	} else {
		rows, err = q.NewestChargesOfOrder(ctx, books.NewestChargesOfOrderParams{
			OrderID: orderID, BeforeTime: after.Time, BeforeReference: after.ID, MaxRows: maxRows,
		})
	}
	if err != nil {
		return nil, postgres.Interpret(fmt.Errorf("sandbox: list charges: %w", err))
	}
	list := make([]Charge, 0, len(rows))
	for _, r := range rows {
		list = append(list, Charge{
			Key: r.Key, Reference: r.Reference, OrderID: r.OrderID, Status: r.Status, Currency: r.Currency,
			Authorized: r.Authorized, Captured: r.Captured, Refunded: r.Refunded, Voided: r.Voided, CreatedAt: r.CreatedAt,
		})
	}
	return list, nil
}

// VoidOutage reports whether charges of TokenVoidDown cannot be voided now.
func (g *Gateway) VoidOutage(ctx context.Context) (bool, error) {
	down, err := books.New(g.pool).Outage(ctx)
	if err != nil {
		return false, postgres.Interpret(fmt.Errorf("sandbox: read the outage: %w", err))
	}
	return down, nil
}

// SetVoidOutage begins or ends the outage.
func (g *Gateway) SetVoidOutage(ctx context.Context, down bool) error {
	if err := books.New(g.pool).SetOutage(ctx, down); err != nil {
		return postgres.Interpret(fmt.Errorf("sandbox: set the outage: %w", err))
	}
	return nil
}
