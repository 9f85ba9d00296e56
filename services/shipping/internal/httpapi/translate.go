package httpapi

import (
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

func fromAddress(a Address) shipping.Address {
	return shipping.Address{
		Name: a.Name, Line1: a.Line1, Line2: value(a.Line2), City: a.City, Region: value(a.Region),
		PostalCode: a.PostalCode, Country: a.Country,
	}
}

func fromItems(items Items) []shipping.Item {
	list := make([]shipping.Item, len(items))
	for i, it := range items {
		list[i] = shipping.Item{SKU: it.Sku, Quantity: it.Quantity}
	}
	return list
}

func toShipment(sh shipment.Shipment) Shipment {
	s := Shipment{
		ID: sh.ID, OrderID: sh.OrderID, FulfilmentID: sh.FulfilmentID, Warehouse: optional(sh.Warehouse),
		Items: []Item{}, State: State(sh.State), Carrier: optional(sh.Carrier),
		TrackingNumber: optional(sh.TrackingNumber), CreatedAt: sh.CreatedAt, UpdatedAt: sh.UpdatedAt,
	}
	for _, it := range sh.Items {
		s.Items = append(s.Items, Item{Sku: it.SKU, Quantity: it.Quantity})
	}
	if sh.Refusal != nil {
		s.Refusal = &Refusal{Code: sh.Refusal.Code, Message: sh.Refusal.Message}
	}
	if sh.To != nil {
		s.To = &Address{
			Name: sh.To.Name, Line1: sh.To.Line1, Line2: optional(sh.To.Line2), City: sh.To.City,
			Region: optional(sh.To.Region), PostalCode: sh.To.PostalCode, Country: sh.To.Country,
		}
	}
	return s
}

func toSandboxBooking(b sandbox.Booking) SandboxBooking {
	out := SandboxBooking{
		Ticket: b.Ticket, OrderID: b.OrderID, FulfilmentID: b.FulfilmentID, Stage: SandboxBookingStage(b.Stage),
		Live: b.Live(), CreatedAt: b.CreatedAt,
	}
	if b.Stage == shipment.Confirmed {
		out.TrackingNumber = &b.TrackingNumber
	}
	return out
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
