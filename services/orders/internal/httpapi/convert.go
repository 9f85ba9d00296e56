package httpapi

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

func asked(o NewOrder) orders.Order {
	lines := make([]orders.Line, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = orders.Line{SKU: l.Sku, Quantity: l.Quantity, UnitPrice: l.UnitPrice}
	}
	a := o.ShippingAddress
	return orders.Order{
		CustomerID: o.CustomerID, Currency: o.Currency, Lines: lines, PaymentToken: o.PaymentToken,
		ShippingAddress: orders.Address{
			Name: a.Name, Line1: a.Line1, Line2: value(a.Line2), City: a.City, Region: value(a.Region),
			PostalCode: a.PostalCode, Country: a.Country,
		},
	}
}

func shown(o order.Order) Order {
	lines := make([]OrderLine, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = OrderLine{Sku: l.SKU, Quantity: l.Quantity, UnitPrice: l.UnitPrice}
	}
	a := o.ShippingAddress
	res := Order{
		ID: o.ID, CustomerID: o.CustomerID, Status: OrderStatus(o.Status), PaymentStatus: PaymentStatus(o.Payment),
		FulfilmentStatus: FulfilmentStatus(o.Fulfilment), Currency: o.Total.Currency,
		Total: Money{Amount: o.Total.Amount, Currency: o.Total.Currency}, Lines: lines,
		ShippingAddress: Address{
			Name: a.Name, Line1: a.Line1, Line2: optional(a.Line2), City: a.City, Region: optional(a.Region),
			PostalCode: a.PostalCode, Country: a.Country,
		},
		PlacedAt: o.PlacedAt, UpdatedAt: o.UpdatedAt, EndedAt: o.EndedAt,
	}
	if o.Reason != nil {
		res.Reason = &Reason{Code: o.Reason.Code, Message: o.Reason.Message}
	}
	return res
}

func told(e order.Entry) (OrderEvent, error) {
	res := OrderEvent{
		ID: strconv.FormatInt(e.Seq, 10), Type: e.Type, At: e.At, Message: e.Message, Code: optional(e.Code),
	}
	var data map[string]any
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return OrderEvent{}, fmt.Errorf("httpapi: facts of entry %d: %w", e.Seq, err)
	}
	if len(data) > 0 {
		res.Data = &data
	}
	return res, nil
}

// value returns what a parameter that was not given stands for: the empty text.
func value[T ~string](p *T) T {
	if p == nil {
		return ""
	}
	return *p
}

// optional leaves an empty text out of the answer.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
