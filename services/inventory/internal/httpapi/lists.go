package httpapi

import (
	"context"
	"strings"
	"time"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

// Stock and warehouses are listed by their codes, not by time: all their positions have the same one.
var sameTime = time.Unix(0, 0).UTC()

// codeSeparator is in no code.
const codeSeparator = "/"

func (s server) ListStock(ctx context.Context, r ListStockRequestObject) (ListStockResponseObject, error) {
	f := stock.Filter{SKU: value(r.Params.SKU), Warehouse: value(r.Params.Warehouse)}
	filter := strings.Join([]string{"stock", f.SKU, f.Warehouse}, codeSeparator)
	after, err := position(r.Params.Cursor, filter)
	if err != nil {
		return nil, err
	}
	var from stock.Item
	if after != nil {
		from.SKU, from.Warehouse, _ = strings.Cut(after.ID, codeSeparator)
	}
	limit := page.Limit(r.Params.Limit)
	items, err := s.stock.List(ctx, f, from, limit+1)
	if err != nil {
		return nil, err
	}
	shown, next := cut(items, limit, filter, stockItem, func(i stock.Item) page.Position {
		return page.Position{Time: sameTime, ID: i.SKU + codeSeparator + i.Warehouse}
	})
	return ListStock200JSONResponse{Items: shown, NextCursor: next}, nil
}

func (s server) ListWarehouses(
	ctx context.Context, r ListWarehousesRequestObject,
) (ListWarehousesResponseObject, error) {
	const filter = "warehouses"
	after, err := position(r.Params.Cursor, filter)
	if err != nil {
		return nil, err
	}
	var from string
	if after != nil {
		from = after.ID
	}
	limit := page.Limit(r.Params.Limit)
	warehouses, err := s.stock.Warehouses(ctx, from, limit+1)
	if err != nil {
		return nil, err
	}
	shown, next := cut(warehouses, limit, filter, warehouse, func(w stock.Warehouse) page.Position {
		return page.Position{Time: sameTime, ID: w.Code}
	})
	return ListWarehouses200JSONResponse{Items: shown, NextCursor: next}, nil
}

func (s server) ListReservations(
	ctx context.Context, r ListReservationsRequestObject,
) (ListReservationsResponseObject, error) {
	f := stock.ReservationFilter{OrderID: value(r.Params.OrderID), State: stock.State(value(r.Params.State))}
	filter := strings.Join([]string{"reservations", string(f.State), f.OrderID}, codeSeparator)
	after, err := position(r.Params.Cursor, filter)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(r.Params.Limit)
	reservations, err := s.stock.Reservations(ctx, f, after, limit+1)
	if err != nil {
		return nil, err
	}
	shown, next := cut(reservations, limit, filter, reservation, func(r stock.Reservation) page.Position {
		return page.Position{Time: r.CreatedAt, ID: r.ID}
	})
	return ListReservations200JSONResponse{Items: shown, NextCursor: next}, nil
}

// value returns what an optional parameter points to, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// position returns where the page begins, nil for the first one.
func position(cursor *string, filter string) (*page.Position, error) {
	if cursor == nil {
		return nil, nil
	}
	after, err := page.Decode(*cursor, filter, time.Now())
	return &after, err
}

// cut makes a page of limit rows. One row more than that says that there is another page.
func cut[Row, Shown any](
	rows []Row, limit int, filter string, show func(Row) Shown, at func(Row) page.Position,
) ([]Shown, *string) {
	var next *string
	if len(rows) > limit {
		rows = rows[:limit]
		cursor := page.Encode(at(rows[limit-1]), filter)
		next = &cursor
	}
	shown := make([]Shown, len(rows))
	for i, row := range rows {
		shown[i] = show(row)
	}
	return shown, next
}
