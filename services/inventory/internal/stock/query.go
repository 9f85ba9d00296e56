package stock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/store/db"
)

// Filter selects rows of stock. Empty fields select all.
type Filter struct{ SKU, Warehouse string }

// List returns up to limit rows of stock in ascending order of SKU and warehouse, beginning after a position.
func (s *Service) List(ctx context.Context, f Filter, after Item, limit int) ([]Item, error) {
	q, n := db.New(s.pool), int32(limit) //nolint:gosec // A page has 101 rows at most.
	var rows []db.Stock
	var err error
	switch {
	case f.SKU != "" && f.Warehouse != "":
		var row db.Stock
		row, err = q.StockItem(ctx, db.StockItemParams{SKU: f.SKU, Warehouse: f.Warehouse})
		if err == nil && (row.SKU > after.SKU || row.Warehouse > after.Warehouse) {
			rows = []db.Stock{row}
		}
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
	case f.SKU != "":
		rows, err = q.StockOfSKU(ctx, db.StockOfSKUParams{SKU: f.SKU, AfterWarehouse: after.Warehouse, RowLimit: n})
	case f.Warehouse != "":
		rows, err = q.StockOfWarehouse(ctx, db.StockOfWarehouseParams{
			Warehouse: f.Warehouse, AfterSKU: after.SKU, RowLimit: n,
		})
	default:
		rows, err = q.Stock(ctx, db.StockParams{AfterSKU: after.SKU, AfterWarehouse: after.Warehouse, RowLimit: n})
	}
	if err != nil {
		return nil, postgres.Interpret(fmt.Errorf("list stock: %w", err))
	}
	items := make([]Item, len(rows))
	for i, r := range rows {
		items[i] = itemOf(r)
	}
	return items, nil
}

// Article returns the stock of an article in each warehouse, in order of their codes, or ErrNoSuchSKU.
func (s *Service) Article(ctx context.Context, sku string) ([]Item, error) {
	items, err := s.List(ctx, Filter{SKU: sku}, Item{}, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, ErrNoSuchSKU
	}
	return items, nil
}

// Warehouses returns up to limit warehouses in ascending order, beginning after a code.
func (s *Service) Warehouses(ctx context.Context, after string, limit int) ([]Warehouse, error) {
	rows, err := db.New(s.pool).Warehouses(ctx, db.WarehousesParams{
		AfterCode: after, RowLimit: int32(limit), //nolint:gosec // A page has 101 rows at most.
	})
	if err != nil {
		return nil, postgres.Interpret(fmt.Errorf("list warehouses: %w", err))
	}
	warehouses := make([]Warehouse, len(rows))
	for i, r := range rows {
		warehouses[i] = Warehouse(r)
	}
	return warehouses, nil
}

// ReservationFilter selects reservations. Empty fields select all.
type ReservationFilter struct {
	OrderID string
	State   State
}

// newest is the position before the newest reservation.
var newest = page.Position{Time: time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)}

// Reservations returns up to limit reservations, newest first, beginning after a position; nil is the beginning.
func (s *Service) Reservations(
	ctx context.Context, f ReservationFilter, after *page.Position, limit int,
) ([]Reservation, error) {
	if after == nil {
		after = &newest
	}
	q, n := db.New(s.pool), int32(limit) //nolint:gosec // A page has 101 rows at most.
	var rows []db.Reservation
	var err error
	switch {
	case f.OrderID != "":
		rows, err = reservationsOf(ctx, q, f, *after)
	case f.State != "":
		rows, err = q.NewestReservationsInState(ctx, db.NewestReservationsInStateParams{
			State: string(f.State), BeforeTime: after.Time, BeforeID: after.ID, RowLimit: n,
		})
	default:
		rows, err = q.NewestReservations(ctx, db.NewestReservationsParams{
			BeforeTime: after.Time, BeforeID: after.ID, RowLimit: n,
		})
	}
	if err != nil {
		return nil, postgres.Interpret(fmt.Errorf("list reservations: %w", err))
	}
	return s.complete(ctx, q, rows)
}

// reservationsOf returns the one reservation that an order can have.
func reservationsOf(
	ctx context.Context, q *db.Queries, f ReservationFilter, after page.Position,
) ([]db.Reservation, error) {
	row, err := q.ReservationByOrder(ctx, f.OrderID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	before := row.CreatedAt.Before(after.Time) || row.CreatedAt.Equal(after.Time) && row.ID < after.ID
	if !before || f.State != "" && f.State != State(row.State) {
		return nil, nil
	}
	return []db.Reservation{row}, nil
}

// Reservation returns one reservation, or inventory.ErrReservationNotFound.
func (s *Service) Reservation(ctx context.Context, id string) (Reservation, error) {
	q := db.New(s.pool)
	row, err := q.ReservationByID(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Reservation{}, inventory.ErrReservationNotFound
	}
	if err != nil {
		return Reservation{}, postgres.Interpret(fmt.Errorf("reservation %s: %w", id, err))
	}
	found, err := s.complete(ctx, q, []db.Reservation{row})
	if err != nil {
		return Reservation{}, err
	}
	return found[0], nil
}

func (s *Service) complete(ctx context.Context, q *db.Queries, rows []db.Reservation) ([]Reservation, error) {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	reservations, err := withFulfilments(ctx, q, rows, ids)
	if err != nil {
		return nil, postgres.Interpret(fmt.Errorf("lines of reservations: %w", err))
	}
	return reservations, nil
}

// Measure counts the reservations that are held now.
func (s *Service) Measure(ctx context.Context) error {
	held, err := db.New(s.pool).CountHeld(ctx)
	if err != nil {
		return postgres.Interpret(err)
	}
	s.metrics.held.Set(float64(held))
	return nil
}
