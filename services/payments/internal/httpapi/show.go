package httpapi

import (
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

func showPayment(p payment.Payment) Payment {
	shown := Payment{
		ID: p.ID, OrderID: p.OrderID, State: PaymentState(p.State), Amount: showMoney(p.Amount),
		Captured: p.Captured, Refunded: p.Refunded, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	if p.CustomerID != "" {
		shown.CustomerID = &p.CustomerID
	}
	if p.Decline != nil {
		shown.Decline = &Decline{Code: p.Decline.Code, Message: p.Decline.Message}
	}
	return shown
}

func showRefund(r payment.Refund) Refund {
	return Refund{
		ID: r.ID, PaymentID: r.PaymentID, Amount: showMoney(r.Amount), State: RefundState(r.State), Reason: r.Reason,
		RequestedBy: r.RequestedBy, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

func showSettings(s payment.FraudSettings) FraudSettings {
	return FraudSettings{
		Limits: each(s.Limits, showMoney), Maintenance: s.Maintenance, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy,
	}
}

func showCharge(c sandbox.Charge) SandboxCharge {
	return SandboxCharge{
		Key: c.Key, Reference: c.Reference, OrderID: c.OrderID, Status: SandboxChargeStatus(c.Status), Currency: c.Currency,
		Authorized: c.Authorized, Captured: c.Captured, Refunded: c.Refunded, Voided: c.Voided, CreatedAt: c.CreatedAt,
	}
}

func showMoney(m money.Money) Money { return Money{Amount: m.Amount, Currency: m.Currency} }

// each converts a list. An empty one stays a list, which JSON shows as [].
func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, 0, len(list))
	for _, a := range list {
		out = append(out, convert(a))
	}
	return out
}

// deref returns the zero value for what a client left out.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
