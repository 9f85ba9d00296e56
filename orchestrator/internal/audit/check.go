// Package audit compares the books of all services. An order that was confirmed was paid for once, taken from stock
// once and booked once; of any other that ended, nothing is held, nothing is charged and nothing is booked. It reads
// the services' public APIs, as an operator could, and it decides nothing by what the saga says of itself.
package audit

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Order is an order as the orders service tells it.
type Order struct {
	ID       string
	Status   string
	Total    int64
	Currency string
	Quantity map[string]int64
	PlacedAt time.Time
}

// Payment is a payment as the payments service tells it. Amounts are in minor units.
type Payment struct {
	ID, OrderID, State, Currency string
	Amount, Captured, Refunded   int64
	// Granted is what of Refunded an operator gave back, and not a saga.
	Granted int64
}

// Charge is what the payment provider's books say about an order.
type Charge struct {
	OrderID                                string
	Authorized, Captured, Refunded, Voided int64
}

// Reservation is a reservation as the inventory service tells it.
type Reservation struct {
	ID, OrderID, State string
	// Quantity by fulfilment and SKU.
	Quantity map[string]map[string]int64
}

// Shipment is a shipment as the shipping service tells it.
type Shipment struct {
	ID, OrderID, FulfilmentID, State string
}

// Booking is what the carrier's books say: a parcel that it will fetch.
type Booking struct {
	OrderID, Ticket string
}

// Books are all that the services say of one order.
type Books struct {
	Order        *Order
	Payments     []Payment
	Charges      []Charge
	Reservations []Reservation
	Shipments    []Shipment
	Bookings     []Booking
	// ProviderKnown and CarrierKnown tell that Charges and Bookings could be read, which is so with sandboxes only.
	ProviderKnown, CarrierKnown bool
}

// Check returns what is wrong with one order, a sentence each. An order that is being worked on is not wrong until it
// has been for longer than patience.
func Check(b Books, now time.Time, patience time.Duration) []string {
	if b.Order == nil {
		return b.orphan()
	}
	switch b.Order.Status {
	case "pending", "cancelling":
		if age := now.Sub(b.Order.PlacedAt); age > patience {
			return []string{fmt.Sprintf("it is %s for %s", b.Order.Status, age.Round(time.Second))}
		}
		return nil
	case "needs_attention":
		return []string{"it waits for an operator"}
	case "cancelled", "failed":
		return b.undone()
	case "confirmed":
		return b.done()
	default:
		return []string{fmt.Sprintf("the status %q is not known", b.Order.Status)}
	}
}

// done checks an order that was confirmed.
func (b Books) done() (wrong []string) {
	total := b.Order.Total
	if len(b.Payments) != 1 {
		wrong = append(wrong, fmt.Sprintf("it has %d payments, not one", len(b.Payments)))
	}
	var granted int64
	for _, p := range b.Payments {
		granted += p.Granted
		if p.Captured != total || p.Refunded != p.Granted || p.Currency != b.Order.Currency {
			wrong = append(wrong, fmt.Sprintf(
				"payment %s is %s with %d %s captured and %d refunded, not %d %s captured and %d refunded",
				p.ID, p.State, p.Captured, p.Currency, p.Refunded, total, b.Order.Currency, p.Granted))
		}
	}
	var captured, refunded int64
	for _, c := range b.Charges {
		captured += c.Captured
		refunded += c.Refunded
	}
	if b.ProviderKnown && (captured != total || refunded != granted) {
		wrong = append(wrong, fmt.Sprintf("the provider took %d and gave back %d, not %d and %d",
			captured, refunded, total, granted))
	}
	if len(b.Reservations) != 1 {
		return append(wrong, fmt.Sprintf("it has %d reservations, not one", len(b.Reservations)))
	}
	return slices.Concat(wrong, b.committed(b.Reservations[0]), b.booked(b.Reservations[0]))
}

func (b Books) committed(r Reservation) (wrong []string) {
	if r.State != "committed" {
		wrong = append(wrong, fmt.Sprintf("reservation %s is %s, not committed", r.ID, r.State))
	}
	taken := map[string]int64{}
	for _, lines := range r.Quantity {
		for sku, n := range lines {
			taken[sku] += n
		}
	}
	for sku := range both(taken, b.Order.Quantity) {
		if got, want := taken[sku], b.Order.Quantity[sku]; got != want {
			wrong = append(wrong, fmt.Sprintf("reservation %s holds %d of %s, not %d", r.ID, got, sku, want))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (b Books) booked(r Reservation) (wrong []string) {
	live := map[string]int{}
	for _, s := range b.Shipments {
		if s.live() {
			live[s.FulfilmentID]++
		}
	}
	reserved := map[string]int{}
	for fulfilment := range r.Quantity {
		reserved[fulfilment] = 1
	}
	for fulfilment := range both(live, reserved) {
		if got, want := live[fulfilment], reserved[fulfilment]; got != want {
			wrong = append(wrong, fmt.Sprintf("fulfilment %s is booked %d times, not %d", fulfilment, got, want))
		}
	}
	slices.Sort(wrong)
	if b.CarrierKnown && len(b.Bookings) != len(r.Quantity) {
		wrong = append(wrong, fmt.Sprintf("the carrier will fetch %d parcels, not %d", len(b.Bookings), len(r.Quantity)))
	}
	return wrong
}

// undone checks an order of which nothing may be left.
func (b Books) undone() (wrong []string) {
	for _, p := range b.Payments {
		switch {
		case p.State == "declined" || p.State == "voided":
		case p.State == "refunded" && p.Captured == p.Refunded:
		default:
			wrong = append(wrong, fmt.Sprintf("payment %s is %s with %d captured and %d refunded",
				p.ID, p.State, p.Captured, p.Refunded))
		}
	}
	for _, c := range b.Charges {
		if held := c.Authorized - c.Captured - c.Voided; held != 0 {
			wrong = append(wrong, fmt.Sprintf("the provider holds %d", held))
		}
		if c.Captured != c.Refunded {
			wrong = append(wrong, fmt.Sprintf("the provider took %d and gave back %d", c.Captured, c.Refunded))
		}
	}
	for _, r := range b.Reservations {
		if r.State != "released" && r.State != "expired" {
			wrong = append(wrong, fmt.Sprintf("reservation %s is %s", r.ID, r.State))
		}
	}
	for _, s := range b.Shipments {
		if s.live() {
			wrong = append(wrong, fmt.Sprintf("shipment %s is %s", s.ID, s.State))
		}
	}
	if n := len(b.Bookings); n > 0 {
		wrong = append(wrong, fmt.Sprintf("the carrier will fetch %d parcels", n))
	}
	return wrong
}

// orphan checks books that name an order which does not exist.
func (b Books) orphan() []string {
	wrong := b.undone()
	if len(wrong) == 0 {
		return nil // The marks that undos leave need no order.
	}
	return append([]string{"there is no such order"}, wrong...)
}

func (s Shipment) live() bool { return s.State != "cancelled" }

// both returns the keys of two maps.
func both[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
