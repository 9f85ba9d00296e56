// Package httpapi serves the HTTP API of the orders service. It turns requests into calls of package order and answers
// into what openapi.yaml describes; it must not decide anything about an order.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

// MaxWait is the longest that a request waits for an order to settle, whatever its client prefers.
const MaxWait = 60 * time.Second

// Server implements the operations of openapi.yaml.
type Server struct {
	orders *order.Service
	log    *slog.Logger
}

var _ StrictServerInterface = (*Server)(nil)

// NewServer returns the implementation of the API.
func NewServer(orders *order.Service, log *slog.Logger) *Server {
	return &Server{orders: orders, log: log}
}

// PlaceOrder implements POST /v1/orders.
func (s *Server) PlaceOrder(ctx context.Context, r PlaceOrderRequestObject) (PlaceOrderResponseObject, error) {
	placed, replayed, err := s.orders.Place(ctx, asked(*r.Body))
	if err != nil {
		return nil, err
	}
	placed, waited := s.await(ctx, placed, r.Params.Prefer)
	if placed.Status.Settled() {
		return PlaceOrder201JSONResponse{Body: shown(placed), Headers: PlaceOrder201ResponseHeaders{
			Location: location(placed), PreferenceApplied: waited, IdempotencyReplayed: again(replayed),
		}}, nil
	}
	return PlaceOrder202JSONResponse{Body: shown(placed), Headers: PlaceOrder202ResponseHeaders{
		Location: location(placed), PreferenceApplied: waited, IdempotencyReplayed: again(replayed),
	}}, nil
}

// CancelOrder implements POST /v1/orders/{id}/cancel.
func (s *Server) CancelOrder(ctx context.Context, r CancelOrderRequestObject) (CancelOrderResponseObject, error) {
	var reason string
	if r.Body != nil && r.Body.Reason != nil {
		reason = *r.Body.Reason
	}
	o, replayed, err := s.orders.Cancel(ctx, r.ID, reason)
	if err != nil {
		return nil, err
	}
	o, waited := s.await(ctx, o, r.Params.Prefer)
	if o.Status.Settled() {
		return CancelOrder200JSONResponse{Body: shown(o), Headers: CancelOrder200ResponseHeaders{
			Location: location(o), PreferenceApplied: waited, IdempotencyReplayed: again(replayed),
		}}, nil
	}
	return CancelOrder202JSONResponse{Body: shown(o), Headers: CancelOrder202ResponseHeaders{
		Location: location(o), PreferenceApplied: waited, IdempotencyReplayed: again(replayed),
	}}, nil
}

// await honours the client's wish to wait for the order to settle, and says how in the value of Preference-Applied. The
// order is accepted already: where it cannot be waited for, the answer is the order as it was accepted.
func (s *Server) await(ctx context.Context, o order.Order, prefer *string) (order.Order, *string) {
	if prefer == nil {
		return o, nil
	}
	wait, respondAsync := httpserver.ParsePrefer(*prefer)
	if wait <= 0 || respondAsync {
		return o, nil
	}
	wait = min(wait, MaxWait)
	applied := fmt.Sprintf("wait=%d", int(wait.Seconds()))
	latest, err := s.orders.Await(ctx, o.ID, wait, httpserver.Draining(ctx))
	if err != nil {
		s.log.DebugContext(ctx, "not waited for the order", "order", o.ID, "error", err)
		return o, nil
	}
	return latest, &applied
}

// GetOrder implements GET /v1/orders/{id}.
func (s *Server) GetOrder(ctx context.Context, r GetOrderRequestObject) (GetOrderResponseObject, error) {
	o, err := s.orders.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetOrder200JSONResponse(shown(o)), nil
}

// ListOrders implements GET /v1/orders.
func (s *Server) ListOrders(ctx context.Context, r ListOrdersRequestObject) (ListOrdersResponseObject, error) {
	f := order.Filter{
		Owner: value(r.Params.Owner), CustomerID: value(r.Params.CustomerID),
		Status:      order.Status(value(r.Params.Status)),
		PlacedAfter: r.Params.PlacedAfter, PlacedBefore: r.Params.PlacedBefore,
	}
	p, err := s.orders.List(ctx, f, value(r.Params.Cursor), page.Limit(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	res := ListOrders200JSONResponse{Items: make([]Order, len(p.Orders)), NextCursor: optional(p.Next)}
	for i, o := range p.Orders {
		res.Items[i] = shown(o)
	}
	return res, nil
}

// ListOrderEvents implements GET /v1/orders/{id}/events.
func (s *Server) ListOrderEvents(
	ctx context.Context, r ListOrderEventsRequestObject,
) (ListOrderEventsResponseObject, error) {
	t, err := s.orders.Timeline(ctx, r.ID, value(r.Params.Cursor), page.Limit(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	res := ListOrderEvents200JSONResponse{Items: make([]OrderEvent, len(t.Entries)), NextCursor: optional(t.Next)}
	for i, e := range t.Entries {
		if res.Items[i], err = told(e); err != nil {
			return nil, err
		}
	}
	return res, nil
}

func location(o order.Order) string { return "/v1/orders/" + o.ID }

func again(replayed bool) *string {
	if !replayed {
		return nil
	}
	return optional("true")
}
