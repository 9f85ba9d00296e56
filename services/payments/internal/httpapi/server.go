// Package httpapi serves the payments service's HTTP API: it decodes what the generated code hands over, asks the
// domain, and shows the answer. It must not decide anything about payments.
package httpapi

import (
	"context"
	"time"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// ErrNoSandbox means that the payment provider is a real one.
var ErrNoSandbox = errs.New(errs.NotFound, "sandbox_not_in_use", "The sandbox is not the payment provider here.")

// Server implements the operations of openapi.yaml. All of them are for operators: payments belong to customers, and
// nothing here knows which caller is which customer.
type Server struct {
	payments *payment.Service
	sandbox  *sandbox.Gateway
}

var _ StrictServerInterface = (*Server)(nil)

// NewServer returns the implementation. sb is nil unless the sandbox is the payment provider.
func NewServer(payments *payment.Service, sb *sandbox.Gateway) *Server {
	return &Server{payments: payments, sandbox: sb}
}

// ListPayments is GET /v1/payments.
func (s *Server) ListPayments(ctx context.Context, r ListPaymentsRequestObject) (ListPaymentsResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	f := payment.Filter{
		OrderID: deref(r.Params.OrderID), CustomerID: deref(r.Params.CustomerID),
		State: payment.State(deref(r.Params.State)),
	}
	filter := "payments\x00" + f.OrderID + "\x00" + f.CustomerID + "\x00" + string(f.State)
	after, err := position(r.Params.Cursor, filter)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(r.Params.Limit)
	list, err := s.payments.Payments(ctx, f, after, limit+1)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, filter, func(p payment.Payment) page.Position {
		return page.Position{Time: p.CreatedAt, ID: p.ID}
	})
	return ListPayments200JSONResponse{Items: each(list, showPayment), NextCursor: next}, nil
}

// GetPayment is GET /v1/payments/{id}.
func (s *Server) GetPayment(ctx context.Context, r GetPaymentRequestObject) (GetPaymentResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	found, refunds, err := s.payments.PaymentWithRefunds(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	p := showPayment(found)
	return GetPayment200JSONResponse{
		ID: p.ID, OrderID: p.OrderID, CustomerID: p.CustomerID, State: p.State, Amount: p.Amount, Captured: p.Captured,
		Refunded: p.Refunded, Decline: p.Decline, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		Refunds: each(refunds, showRefund),
	}, nil
}

// CreateRefund is POST /v1/payments/{id}/refunds.
func (s *Server) CreateRefund(ctx context.Context, r CreateRefundRequestObject) (CreateRefundResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	refund, err := s.payments.Refund(ctx, payment.RefundRequest{
		PaymentID: r.ID, Amount: deref(r.Body.Amount), Reason: r.Body.Reason,
	})
	if err != nil {
		return nil, err
	}
	return CreateRefund201JSONResponse{
		Body: showRefund(refund),
		// The refund is shown with its payment.
		Headers: CreateRefund201ResponseHeaders{Location: "/v1/payments/" + refund.PaymentID},
	}, nil
}

// GetFraudSettings is GET /v1/fraud/settings.
func (s *Server) GetFraudSettings(
	ctx context.Context, _ GetFraudSettingsRequestObject,
) (GetFraudSettingsResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	settings, err := s.payments.FraudSettings(ctx)
	if err != nil {
		return nil, err
	}
	return GetFraudSettings200JSONResponse(showSettings(settings)), nil
}

// SetFraudSettings is PUT /v1/fraud/settings.
func (s *Server) SetFraudSettings(
	ctx context.Context, r SetFraudSettingsRequestObject,
) (SetFraudSettingsResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	limits := each(r.Body.Limits, func(m Money) money.Money { return money.Of(m.Amount, m.Currency) })
	settings, err := s.payments.SetFraudSettings(ctx, limits, r.Body.Maintenance)
	if err != nil {
		return nil, err
	}
	return SetFraudSettings200JSONResponse(showSettings(settings)), nil
}

// requireSandbox is the gate of all that belongs to the sandbox.
func (s *Server) requireSandbox(ctx context.Context) error {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return err
	}
	if s.sandbox == nil {
		return ErrNoSandbox
	}
	return nil
}

// GetSandboxOutage is GET /v1/sandbox/outage.
func (s *Server) GetSandboxOutage(
	ctx context.Context, _ GetSandboxOutageRequestObject,
) (GetSandboxOutageResponseObject, error) {
	if err := s.requireSandbox(ctx); err != nil {
		return nil, err
	}
	down, err := s.sandbox.VoidOutage(ctx)
	if err != nil {
		return nil, err
	}
	return GetSandboxOutage200JSONResponse{Void: down}, nil
}

// SetSandboxOutage is PUT /v1/sandbox/outage.
func (s *Server) SetSandboxOutage(
	ctx context.Context, r SetSandboxOutageRequestObject,
) (SetSandboxOutageResponseObject, error) {
	if err := s.requireSandbox(ctx); err != nil {
		return nil, err
	}
	if err := s.sandbox.SetVoidOutage(ctx, r.Body.Void); err != nil {
		return nil, err
	}
	return SetSandboxOutage200JSONResponse{Void: r.Body.Void}, nil
}

// ListSandboxCharges is GET /v1/sandbox/charges.
func (s *Server) ListSandboxCharges(
	ctx context.Context, r ListSandboxChargesRequestObject,
) (ListSandboxChargesResponseObject, error) {
	if err := s.requireSandbox(ctx); err != nil {
		return nil, err
	}
	orderID := deref(r.Params.OrderID)
	filter := "sandbox charges\x00" + orderID
	after, err := position(r.Params.Cursor, filter)
	if err != nil {
		return nil, err
	}
	limit := page.Limit(r.Params.Limit)
	list, err := s.sandbox.Charges(ctx, orderID, after, limit+1)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, filter, func(c sandbox.Charge) page.Position {
		return page.Position{Time: c.CreatedAt, ID: c.Reference}
	})
	return ListSandboxCharges200JSONResponse{Items: each(list, showCharge), NextCursor: next}, nil
}

// position is where the page after a cursor begins; nil is the first page.
func position(cursor *string, filter string) (*page.Position, error) {
	if cursor == nil {
		return nil, nil
	}
	after, err := page.Decode(*cursor, filter, time.Now())
	return &after, err
}

// cut takes a page off a list that was read with one row more than the page has. That row tells that there is a next
// page.
func cut[T any](list []T, limit int, filter string, at func(T) page.Position) ([]T, *string) {
	if len(list) <= limit {
		return list, nil
	}
	next := page.Encode(at(list[limit-1]), filter)
	return list[:limit], &next
}
