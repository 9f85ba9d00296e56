// Package httpapi is the service's HTTP API. The OpenAPI document is the source: types, routes and checks of the input
// are generated from it, and what stands here only translates. It must not decide anything about shipments, except who
// may ask.
package httpapi

import (
	"context"
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

// Server implements the operations of the document.
type Server struct {
	shipments *shipment.Service
	sandbox   *sandbox.Carrier
}

var _ StrictServerInterface = (*Server)(nil)

// New returns the API as a server.
func New(
	shipments *shipment.Service, books *sandbox.Carrier, log *slog.Logger, metrics prometheus.Registerer,
) (*echo.Echo, error) {
	spec, err := GetSpec()
	if err != nil {
		return nil, err
	}
	e := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: metrics})
	server := &Server{shipments: shipments, sandbox: books}
	RegisterHandlers(e, NewStrictHandler(server, []StrictMiddlewareFunc{authorize}))
	return e, nil
}

// authorize lets everybody ask for a quote. All else is for operators, reading as well: a shipment does not know which
// caller its order belongs to, and where a parcel goes is personal data.
func authorize(next StrictHandlerFunc, operation string) StrictHandlerFunc {
	if operation == "CreateQuote" {
		return next
	}
	return func(c echo.Context, request any) (any, error) {
		if err := caller.From(c.Request().Context()).Require(caller.ScopeOperate); err != nil {
			return nil, err
		}
		return next(c, request)
	}
}

// CreateQuote implements StrictServerInterface.
func (s *Server) CreateQuote(ctx context.Context, r CreateQuoteRequestObject) (CreateQuoteResponseObject, error) {
	q, err := s.shipments.Quote(ctx, r.Body.Warehouse, fromAddress(r.Body.To), fromItems(r.Body.Items))
	if err != nil {
		return nil, err
	}
	return CreateQuote200JSONResponse{
		Carrier: q.Carrier, Service: q.Service, Price: Money{Amount: q.Price.Amount, Currency: q.Price.Currency},
		ReadyInSeconds: float32(q.ReadyIn.Seconds()),
	}, nil
}

// ListShipments implements StrictServerInterface.
func (s *Server) ListShipments(ctx context.Context, r ListShipmentsRequestObject) (ListShipmentsResponseObject, error) {
	var f shipment.Filter
	if r.Params.OrderID != nil {
		f.OrderID = *r.Params.OrderID
	}
	if r.Params.State != nil {
		f.State = shipment.State(*r.Params.State)
	}
	filter := "shipments " + f.OrderID + " " + string(f.State)
	var after page.Position
	if r.Params.Cursor != nil {
		var err error
		if after, err = page.Decode(*r.Params.Cursor, filter, time.Now()); err != nil {
			return nil, err
		}
	}
	limit := page.Limit(r.Params.Limit)
	// One more than asked for tells whether there is another page.
	list, err := s.shipments.List(ctx, f, after, limit+1)
	if err != nil {
		return nil, err
	}
	res := ListShipments200JSONResponse{Items: []Shipment{}}
	if len(list) > limit {
		list = list[:limit]
		last := list[limit-1]
		next := page.Encode(page.Position{Time: last.CreatedAt, ID: last.ID}, filter)
		res.NextCursor = &next
	}
	for _, sh := range list {
		res.Items = append(res.Items, toShipment(sh))
	}
	return res, nil
}

// GetShipment implements StrictServerInterface.
func (s *Server) GetShipment(ctx context.Context, r GetShipmentRequestObject) (GetShipmentResponseObject, error) {
	sh, err := s.shipments.Get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetShipment200JSONResponse(toShipment(sh)), nil
}

// BookShipment implements StrictServerInterface.
func (s *Server) BookShipment(ctx context.Context, r BookShipmentRequestObject) (BookShipmentResponseObject, error) {
	sh, err := s.shipments.BookByHand(ctx, shipping.BookRequest{
		OrderID: r.Body.OrderID, FulfilmentID: r.Body.FulfilmentID, Warehouse: r.Body.Warehouse,
		Items: fromItems(r.Body.Items), To: fromAddress(r.Body.To),
	})
	if err != nil {
		return nil, err
	}
	location := "/v1/shipments/" + sh.ID
	if sh.State == shipment.Booking {
		return BookShipment202JSONResponse{
			Body: toShipment(sh), Headers: BookShipment202ResponseHeaders{Location: location},
		}, nil
	}
	return BookShipment201JSONResponse{
		Body: toShipment(sh), Headers: BookShipment201ResponseHeaders{Location: location},
	}, nil
}

// CancelShipment implements StrictServerInterface.
func (s *Server) CancelShipment(
	ctx context.Context, r CancelShipmentRequestObject,
) (CancelShipmentResponseObject, error) {
	sh, err := s.shipments.CancelByHand(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return CancelShipment200JSONResponse(toShipment(sh)), nil
}

// GetOutage implements StrictServerInterface.
func (s *Server) GetOutage(ctx context.Context, _ GetOutageRequestObject) (GetOutageResponseObject, error) {
	down, err := s.sandbox.Outage(ctx)
	if err != nil {
		return nil, err
	}
	return GetOutage200JSONResponse{Cancel: down}, nil
}

// SetOutage implements StrictServerInterface.
func (s *Server) SetOutage(ctx context.Context, r SetOutageRequestObject) (SetOutageResponseObject, error) {
	if err := s.sandbox.SetOutage(ctx, r.Body.Cancel); err != nil {
		return nil, err
	}
	return SetOutage200JSONResponse{Cancel: r.Body.Cancel}, nil
}

// ListSandboxBookings implements StrictServerInterface.
func (s *Server) ListSandboxBookings(
	ctx context.Context, r ListSandboxBookingsRequestObject,
) (ListSandboxBookingsResponseObject, error) {
	list, err := s.sandbox.Bookings(ctx, r.Params.OrderID)
	if err != nil {
		return nil, err
	}
	res := ListSandboxBookings200JSONResponse{Items: []SandboxBooking{}}
	for _, b := range list {
		res.Items = append(res.Items, toSandboxBooking(b))
	}
	return res, nil
}
