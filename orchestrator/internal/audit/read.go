package audit

import (
	"context"
	"net/http"

	inventory "github.com/orderflow/orderflow/services/inventory/client"
	payments "github.com/orderflow/orderflow/services/payments/client"
	shipping "github.com/orderflow/orderflow/services/shipping/client"
)

// read returns the books of one order. The order is read first: what it says of its end was true of the others before.
func (a *Auditor) read(ctx context.Context, id string) (Books, error) {
	var b Books
	for _, read := range []func(context.Context, string, *Books) error{
		a.readOrder, a.readPayments, a.readCharges, a.readReservations, a.readShipments, a.readBookings,
	} {
		if err := read(ctx, id, &b); err != nil {
			return Books{}, err
		}
	}
	return b, nil
}

func (a *Auditor) readOrder(ctx context.Context, id string, b *Books) error {
	res, err := a.orders.GetOrderWithResponse(ctx, id)
	if err == nil && res.StatusCode() == http.StatusNotFound {
		return nil
	}
	if err = answered(res, err); err != nil {
		return err
	}
	o := res.JSON200
	b.Order = &Order{
		ID: o.ID, Status: string(o.Status), Total: o.Total.Amount, Currency: o.Total.Currency,
		Quantity: map[string]int64{}, PlacedAt: o.PlacedAt,
	}
	for _, l := range o.Lines {
		b.Order.Quantity[l.Sku] += l.Quantity
	}
	return nil
}

func (a *Auditor) readPayments(ctx context.Context, id string, b *Books) error {
	res, err := a.payments.ListPaymentsWithResponse(ctx, &payments.ListPaymentsParams{OrderID: &id})
	if err = answered(res, err); err != nil {
		return err
	}
	for _, p := range res.JSON200.Items {
		granted, err := a.granted(ctx, p)
		if err != nil {
			return err
		}
		b.Payments = append(b.Payments, Payment{
			ID: p.ID, OrderID: p.OrderID, State: string(p.State), Currency: p.Amount.Currency,
			Amount: p.Amount.Amount, Captured: p.Captured, Refunded: p.Refunded, Granted: granted,
		})
	}
	return nil
}

// refundOfSaga is who asks for the refund where a saga undoes a payment.
const refundOfSaga = "cancel"

// granted returns what of a payment operators gave back, out of goodwill for instance.
func (a *Auditor) granted(ctx context.Context, p payments.Payment) (amount int64, err error) {
	if p.Refunded == 0 {
		return 0, nil
	}
	res, err := a.payments.GetPaymentWithResponse(ctx, p.ID)
	if err = answered(res, err); err != nil {
		return 0, err
	}
	for _, r := range res.JSON200.Refunds {
		if r.State == payments.Succeeded && r.RequestedBy != refundOfSaga {
			amount += r.Amount.Amount
		}
	}
	return amount, nil
}

func (a *Auditor) readCharges(ctx context.Context, id string, b *Books) error {
	res, err := a.payments.ListSandboxChargesWithResponse(ctx, &payments.ListSandboxChargesParams{OrderID: &id})
	if err == nil && res.StatusCode() == http.StatusNotFound {
		return nil // The provider is a real one; it has its own reports.
	}
	if err = answered(res, err); err != nil {
		return err
	}
	b.ProviderKnown = true
	for _, c := range res.JSON200.Items {
		b.Charges = append(b.Charges, Charge{
			OrderID: c.OrderID, Authorized: c.Authorized, Captured: c.Captured, Refunded: c.Refunded, Voided: c.Voided,
		})
	}
	return nil
}

func (a *Auditor) readReservations(ctx context.Context, id string, b *Books) error {
	res, err := a.inventory.ListReservationsWithResponse(ctx, &inventory.ListReservationsParams{OrderID: &id})
	if err = answered(res, err); err != nil {
		return err
	}
	for _, r := range res.JSON200.Items {
		reservation := Reservation{
			ID: r.ID, OrderID: r.OrderID, State: string(r.State), Quantity: map[string]map[string]int64{},
		}
		for _, f := range r.Fulfilments {
			lines := map[string]int64{}
			for _, l := range f.Lines {
				lines[l.SKU] += l.Quantity
			}
			reservation.Quantity[f.ID] = lines
		}
		b.Reservations = append(b.Reservations, reservation)
	}
	return nil
}

func (a *Auditor) readShipments(ctx context.Context, id string, b *Books) error {
	res, err := a.shipping.ListShipmentsWithResponse(ctx, &shipping.ListShipmentsParams{OrderID: &id})
	if err = answered(res, err); err != nil {
		return err
	}
	for _, s := range res.JSON200.Items {
		b.Shipments = append(b.Shipments, Shipment{
			ID: s.ID, OrderID: s.OrderID, FulfilmentID: s.FulfilmentID, State: string(s.State),
		})
	}
	return nil
}

func (a *Auditor) readBookings(ctx context.Context, id string, b *Books) error {
	res, err := a.shipping.ListSandboxBookingsWithResponse(ctx, &shipping.ListSandboxBookingsParams{OrderID: id})
	if err == nil && res.StatusCode() == http.StatusNotFound {
		return nil // The carrier is a real one; it has its own reports.
	}
	if err = answered(res, err); err != nil {
		return err
	}
	b.CarrierKnown = true
	for _, k := range res.JSON200.Items {
		if k.Live {
			b.Bookings = append(b.Bookings, Booking{OrderID: k.OrderID, Ticket: k.Ticket})
		}
	}
	return nil
}
