package stock

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/store/db"
)

const maxReason = 200

// SetOnHand sets the quantity on hand of an article in a warehouse, both of which come into being if they are new. It
// returns ErrBelowReserved if less would be there than is reserved, and ErrInvalidAdjustment for values that break a
// rule. The reason may be empty. It runs once per idempotency.Request: to set the quantity again, because an answer was
// lost, would bring back the pieces that were sold in between.
func (s *Service) SetOnHand(ctx context.Context, sku, warehouse string, onHand int64, reason string) (Item, error) {
	err := invalid(
		rule(skuPattern.MatchString(sku), "path/sku", "invalid", "It must be the code of an article."),
		rule(warehousePattern.MatchString(warehouse), "path/warehouse", "invalid", "It must be the code of a warehouse."),
		rule(0 <= onHand && onHand <= MaxOnHand, "/on_hand", "out_of_range", "It must be from 0 to %d.", MaxOnHand),
		rule(utf8.RuneCountInString(reason) <= maxReason, "/reason", "too_long",
			"It must have %d characters at most.", maxReason),
	)
	if err != nil {
		return Item{}, err
	}
	item, replayed, err := idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (Item, error) {
		q := db.New(tx)
		if err := q.AddWarehouse(ctx, warehouse); err != nil {
			return Item{}, err
		}
		added, err := q.AddStock(ctx, db.AddStockParams{SKU: sku, Warehouse: warehouse})
		if err != nil {
			return Item{}, err
		}
		row, err := q.LockStockItem(ctx, db.LockStockItemParams{SKU: sku, Warehouse: warehouse})
		if err != nil {
			return Item{}, err
		}
		if row.OnHand == onHand && added == 0 {
			return itemOf(row), nil
		}
		return change(ctx, tx, q, row, onHand, reason)
	})
	if err == nil && !replayed {
		s.committed()
	}
	return item, err
}

// Adjust adds delta pieces to the quantity on hand of an article in a warehouse, or takes them if delta is negative. It
// returns ErrNotStocked for an article that the warehouse never had, ErrBelowReserved or ErrTooMuch if the quantity
// would leave its bounds, and ErrInvalidAdjustment for values that break a rule. It runs once per idempotency.Request.
func (s *Service) Adjust(ctx context.Context, sku, warehouse string, delta int64, reason string) (Item, error) {
	err := invalid(
		rule(delta != 0 && -MaxOnHand <= delta && delta <= MaxOnHand, "/delta", "out_of_range",
			"It must be from -%d to %d, and not 0.", MaxOnHand, MaxOnHand),
		rule(reason != "" && utf8.RuneCountInString(reason) <= maxReason, "/reason", "invalid",
			"It must have 1 to %d characters.", maxReason),
	)
	if err != nil {
		return Item{}, err
	}
	item, replayed, err := idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (Item, error) {
		q := db.New(tx)
		row, err := q.LockStockItem(ctx, db.LockStockItemParams{SKU: sku, Warehouse: warehouse})
		if errors.Is(err, pgx.ErrNoRows) {
			return Item{}, ErrNotStocked
		}
		if err != nil {
			return Item{}, err
		}
		return change(ctx, tx, q, row, row.OnHand+delta, reason)
	})
	if err == nil && !replayed {
		s.committed()
	}
	return item, err
}

// change sets the quantity of a row that is locked.
func change(
	ctx context.Context, tx pgx.Tx, q *db.Queries, row db.Stock, onHand int64, reason string,
) (Item, error) {
	switch {
	case onHand < row.Reserved:
		return Item{}, ErrBelowReserved.WithMessage("The quantity on hand would be %d, but %d pieces are reserved.",
			onHand, row.Reserved)
	case onHand > MaxOnHand:
		return Item{}, ErrTooMuch.WithMessage("The quantity on hand would be above %d.", MaxOnHand)
	}
	row, err := q.SetOnHand(ctx, db.SetOnHandParams{SKU: row.SKU, Warehouse: row.Warehouse, OnHand: onHand})
	if err != nil {
		return Item{}, err
	}
	ev, err := inventory.EventAdjusted.New(row.SKU, row.UpdatedAt, inventory.StockChanged{
		SKU: row.SKU, Warehouse: row.Warehouse, OnHand: row.OnHand, Reserved: row.Reserved,
		Reason: reason, ChangedBy: caller.From(ctx).Subject,
	})
	if err != nil {
		return Item{}, err
	}
	return itemOf(row), outbox.Append(ctx, tx, ev)
}

// PutWarehouse makes a warehouse or changes its priority, which reservations made from now on heed: 1 is asked first,
// 1000 last. It returns ErrInvalidAdjustment for values that break a rule.
func (s *Service) PutWarehouse(ctx context.Context, code string, priority int32) (Warehouse, error) {
	err := invalid(
		rule(warehousePattern.MatchString(code), "path/warehouse", "invalid", "It must be the code of a warehouse."),
		rule(1 <= priority && priority <= 1000, "/priority", "out_of_range", "It must be from 1 to 1000."),
	)
	if err != nil {
		return Warehouse{}, err
	}
	var row db.Warehouse
	err = s.inTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		row, err = q.PutWarehouse(ctx, db.PutWarehouseParams{Code: code, Priority: priority})
		return err
	})
	return Warehouse(row), err
}

func itemOf(row db.Stock) Item { return Item(row) }

// rule returns nil for a rule that is kept.
func rule(kept bool, pointer, code, message string, args ...any) *errs.Field {
	if kept {
		return nil
	}
	return &errs.Field{Pointer: pointer, Code: code, Message: fmt.Sprintf(message, args...)}
}

func invalid(rules ...*errs.Field) error {
	var broken []errs.Field
	for _, r := range rules {
		if r != nil {
			broken = append(broken, *r)
		}
	}
	if broken == nil {
		return nil
	}
	return ErrInvalidAdjustment.WithFields(broken...)
}
