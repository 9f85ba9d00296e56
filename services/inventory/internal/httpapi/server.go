// Package httpapi is the HTTP face of the service: it translates between openapi.yaml, from which api.gen.go is made,
// and package stock. It decides nothing but who may call what.
package httpapi

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

// server implements the operations of the document.
type server struct{ stock *stock.Service }

// Register adds the operations to e, which httpserver.New made with the document of GetSpec.
func Register(e *echo.Echo, svc *stock.Service) {
	RegisterHandlers(e, NewStrictHandler(server{svc}, []StrictMiddlewareFunc{authorize}))
}

// authorize lets everybody read stock. All else is for operators: what changes something, and reservations, which do
// not know whose order they are for.
func authorize(next StrictHandlerFunc, operation string) StrictHandlerFunc {
	switch operation {
	case "ListStock", "GetStock", "ListWarehouses":
		return next
	}
	return func(c echo.Context, request any) (any, error) {
		if err := caller.From(c.Request().Context()).Require(caller.ScopeOperate); err != nil {
			return nil, err
		}
		return next(c, request)
	}
}

func (s server) ImportStock(ctx context.Context, r ImportStockRequestObject) (ImportStockResponseObject, error) {
	body, err := checkedBody(r)
	if err != nil {
		return nil, err
	}
	done, err := s.stock.Import(ctx, body)
	if err != nil {
		return nil, err
	}
	return ImportStock200JSONResponse{Imported: done.Lines, Created: done.Created, Changed: done.Changed}, nil
}

func (s server) GetStock(ctx context.Context, r GetStockRequestObject) (GetStockResponseObject, error) {
	items, err := s.stock.Article(ctx, r.SKU)
	if err != nil {
		return nil, err
	}
	article := GetStock200JSONResponse{SKU: r.SKU, Warehouses: make([]StockItem, len(items))}
	for i, item := range items {
		article.Warehouses[i] = stockItem(item)
		article.OnHand += item.OnHand
		article.Reserved += item.Reserved
		article.Available += item.Available()
	}
	return article, nil
}

func (s server) SetStock(ctx context.Context, r SetStockRequestObject) (SetStockResponseObject, error) {
	var reason string
	if r.Body.Reason != nil {
		reason = *r.Body.Reason
	}
	item, err := s.stock.SetOnHand(ctx, r.SKU, r.Warehouse, r.Body.OnHand, reason)
	if err != nil {
		return nil, err
	}
	return SetStock200JSONResponse(stockItem(item)), nil
}

func (s server) AdjustStock(ctx context.Context, r AdjustStockRequestObject) (AdjustStockResponseObject, error) {
	item, err := s.stock.Adjust(ctx, r.SKU, r.Warehouse, r.Body.Delta, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return AdjustStock200JSONResponse(stockItem(item)), nil
}

func (s server) PutWarehouse(ctx context.Context, r PutWarehouseRequestObject) (PutWarehouseResponseObject, error) {
	w, err := s.stock.PutWarehouse(ctx, r.Warehouse, r.Body.Priority)
	if err != nil {
		return nil, err
	}
	return PutWarehouse200JSONResponse(warehouse(w)), nil
}

func (s server) GetReservation(
	ctx context.Context, r GetReservationRequestObject,
) (GetReservationResponseObject, error) {
	found, err := s.stock.Reservation(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetReservation200JSONResponse(reservation(found)), nil
}

func stockItem(i stock.Item) StockItem {
	return StockItem{
		SKU: i.SKU, Warehouse: i.Warehouse, OnHand: i.OnHand, Reserved: i.Reserved, Available: i.Available(),
		UpdatedAt: i.UpdatedAt,
	}
}

func warehouse(w stock.Warehouse) Warehouse {
	return Warehouse{Code: w.Code, Priority: w.Priority, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt}
}

func reservation(r stock.Reservation) Reservation {
	shown := Reservation{
		ID: r.ID, OrderID: r.OrderID, State: ReservationState(r.State), Lines: lines(r.Lines),
		Fulfilments: make([]Fulfilment, len(r.Fulfilments)), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.State == stock.Held {
		shown.ExpiresAt = &r.ExpiresAt
	}
	for i, f := range r.Fulfilments {
		shown.Fulfilments[i] = Fulfilment{ID: f.ID, Warehouse: f.Warehouse, Lines: lines(f.Lines)}
	}
	return shown
}

func lines(held []inventory.Line) []Line {
	shown := make([]Line, len(held))
	for i, l := range held {
		shown[i] = Line{SKU: l.SKU, Quantity: l.Quantity}
	}
	return shown
}
