package audit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/orchestrator/internal/audit"
)

const patience = 10 * time.Minute

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// confirmed are the books of an order of two mugs and a pot from two warehouses, all as it should be.
func confirmed() audit.Books {
	return audit.Books{
		Order: &audit.Order{
			ID: "ord_1", Status: "confirmed", Total: 5000, Currency: "EUR", PlacedAt: now.Add(-time.Hour),
			Quantity: map[string]int64{"MUG": 2, "POT": 1},
		},
		Payments: []audit.Payment{
			{ID: "pay_1", OrderID: "ord_1", State: "captured", Currency: "EUR", Amount: 5000, Captured: 5000},
		},
		Charges: []audit.Charge{{OrderID: "ord_1", Authorized: 5000, Captured: 5000}},
		Reservations: []audit.Reservation{{
			ID: "res_1", OrderID: "ord_1", State: "committed",
			Quantity: map[string]map[string]int64{"ful_1": {"MUG": 2}, "ful_2": {"POT": 1}},
		}},
		Shipments: []audit.Shipment{
			{ID: "shp_1", OrderID: "ord_1", FulfilmentID: "ful_1", State: "booked"},
			{ID: "shp_2", OrderID: "ord_1", FulfilmentID: "ful_2", State: "delivered"},
		},
		Bookings:      []audit.Booking{{OrderID: "ord_1", Ticket: "t1"}, {OrderID: "ord_1", Ticket: "t2"}},
		ProviderKnown: true, CarrierKnown: true,
	}
}

// undone are the books of an order of which everything was done and undone.
func undone() audit.Books {
	b := confirmed()
	b.Order.Status = "failed"
	b.Payments[0].State, b.Payments[0].Captured = "voided", 0
	b.Charges[0] = audit.Charge{OrderID: "ord_1", Authorized: 5000, Voided: 5000}
	b.Reservations[0].State = "released"
	b.Shipments[0].State, b.Shipments[1].State = "cancelled", "cancelled"
	b.Bookings = nil
	return b
}

// check applies a change to books and compares what is wrong with them then.
func check(t *testing.T, name string, books func() audit.Books, change func(*audit.Books), wrong ...string) {
	t.Helper()
	b := books()
	change(&b)
	if len(wrong) == 0 {
		require.Empty(t, audit.Check(b, now, patience), name)
		return
	}
	require.Equal(t, wrong, audit.Check(b, now, patience), name)
}

func TestAConfirmedOrderIsPaidTakenAndBookedOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*audit.Books)
		wrong  []string
	}{
		"as it should be": {func(*audit.Books) {}, nil},
		"no payment": {
			func(b *audit.Books) { b.Payments = nil }, []string{"it has 0 payments, not one"},
		},
		"two payments": {
			func(b *audit.Books) { b.Payments = append(b.Payments, b.Payments[0]) }, []string{"it has 2 payments, not one"},
		},
		"never captured": {
			func(b *audit.Books) { b.Payments[0].State, b.Payments[0].Captured = "authorized", 0 },
			[]string{"payment pay_1 is authorized with 0 EUR captured and 0 refunded, not 5000 EUR captured and 0 refunded"},
		},
		"captured in part": {
			func(b *audit.Books) { b.Payments[0].Captured = 4999 },
			[]string{"payment pay_1 is captured with 4999 EUR captured and 0 refunded, not 5000 EUR captured and 0 refunded"},
		},
		"given back": {
			func(b *audit.Books) { b.Payments[0].State, b.Payments[0].Refunded = "partially_refunded", 1 },
			[]string{"payment pay_1 is partially_refunded with 5000 EUR captured and 1 refunded, not 5000 EUR captured and 0 refunded"},
		},
		"given back by an operator": {
			func(b *audit.Books) {
				b.Payments[0].State, b.Payments[0].Refunded, b.Payments[0].Granted = "partially_refunded", 100, 100
				b.Charges[0].Refunded = 100
			}, nil,
		},
		"given back by an operator and once more": {
			func(b *audit.Books) {
				b.Payments[0].State, b.Payments[0].Refunded, b.Payments[0].Granted = "partially_refunded", 100, 100
				b.Charges[0].Refunded = 200
			},
			[]string{"the provider took 5000 and gave back 200, not 5000 and 100"},
		},
		"another currency": {
			func(b *audit.Books) { b.Payments[0].Currency = "USD" },
			[]string{"payment pay_1 is captured with 5000 USD captured and 0 refunded, not 5000 EUR captured and 0 refunded"},
		},
		"charged twice": {
			func(b *audit.Books) { b.Charges = append(b.Charges, b.Charges[0]) },
			[]string{"the provider took 10000 and gave back 0, not 5000 and 0"},
		},
		"never charged": {
			func(b *audit.Books) { b.Charges = nil }, []string{"the provider took 0 and gave back 0, not 5000 and 0"},
		},
		"given back behind our back": {
			func(b *audit.Books) { b.Charges[0].Refunded = 5000 },
			[]string{"the provider took 5000 and gave back 5000, not 5000 and 0"},
		},
		"a provider whose books are closed": {
			func(b *audit.Books) { b.Charges, b.ProviderKnown = nil, false }, nil,
		},
		"no reservation": {
			func(b *audit.Books) { b.Reservations = nil }, []string{"it has 0 reservations, not one"},
		},
		"two reservations": {
			func(b *audit.Books) { b.Reservations = append(b.Reservations, b.Reservations[0]) },
			[]string{"it has 2 reservations, not one"},
		},
		"still held": {
			func(b *audit.Books) { b.Reservations[0].State = "held" }, []string{"reservation res_1 is held, not committed"},
		},
		"a piece too few": {
			func(b *audit.Books) { b.Reservations[0].Quantity["ful_1"]["MUG"] = 1 },
			[]string{"reservation res_1 holds 1 of MUG, not 2"},
		},
		"an article too many": {
			func(b *audit.Books) { b.Reservations[0].Quantity["ful_1"]["PAN"] = 1 },
			[]string{"reservation res_1 holds 1 of PAN, not 0"},
		},
		"never booked": {
			func(b *audit.Books) { b.Shipments[0].State = "cancelled" },
			[]string{"fulfilment ful_1 is booked 0 times, not 1"},
		},
		"booked twice": {
			func(b *audit.Books) { b.Shipments = append(b.Shipments, b.Shipments[0]) },
			[]string{"fulfilment ful_1 is booked 2 times, not 1"},
		},
		"booked for nothing": {
			func(b *audit.Books) {
				b.Shipments = append(b.Shipments, audit.Shipment{ID: "shp_3", FulfilmentID: "ful_9", State: "booked"})
			},
			[]string{"fulfilment ful_9 is booked 1 times, not 0"},
		},
		"a parcel too many": {
			func(b *audit.Books) { b.Bookings = append(b.Bookings, b.Bookings[0]) },
			[]string{"the carrier will fetch 3 parcels, not 2"},
		},
		"a parcel that the carrier has lost": {
			func(b *audit.Books) { b.Bookings = b.Bookings[:1] }, []string{"the carrier will fetch 1 parcels, not 2"},
		},
		"a carrier whose books are closed": {
			func(b *audit.Books) { b.Bookings, b.CarrierKnown = nil, false }, nil,
		},
		"all at once": {
			func(b *audit.Books) { b.Payments, b.Reservations = nil, nil },
			[]string{"it has 0 payments, not one", "it has 0 reservations, not one"},
		},
	} {
		check(t, name, confirmed, tc.change, tc.wrong...)
	}
}

func TestOfAnOrderThatEndedOtherwiseNothingIsLeft(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"failed", "cancelled"} {
		for name, tc := range map[string]struct {
			change func(*audit.Books)
			wrong  []string
		}{
			"as it should be": {func(*audit.Books) {}, nil},
			"nothing was ever done": {
				func(b *audit.Books) { *b = audit.Books{Order: b.Order, ProviderKnown: true, CarrierKnown: true} }, nil,
			},
			"declined": {
				func(b *audit.Books) { b.Payments[0].State, b.Charges = "declined", nil }, nil,
			},
			"taken and given back": {
				func(b *audit.Books) {
					b.Payments[0].State, b.Payments[0].Captured, b.Payments[0].Refunded = "refunded", 5000, 5000
					b.Charges[0] = audit.Charge{Authorized: 5000, Captured: 5000, Refunded: 5000}
				}, nil,
			},
			"a hold that expired": {
				func(b *audit.Books) { b.Reservations[0].State = "expired" }, nil,
			},
			"still authorized": {
				func(b *audit.Books) { b.Payments[0].State = "authorized" },
				[]string{"payment pay_1 is authorized with 0 captured and 0 refunded"},
			},
			"outcome never known": {
				func(b *audit.Books) { b.Payments[0].State = "unknown" },
				[]string{"payment pay_1 is unknown with 0 captured and 0 refunded"},
			},
			"still captured": {
				func(b *audit.Books) { b.Payments[0].State, b.Payments[0].Captured = "captured", 5000 },
				[]string{"payment pay_1 is captured with 5000 captured and 0 refunded"},
			},
			"given back in part": {
				func(b *audit.Books) {
					b.Payments[0].State, b.Payments[0].Captured, b.Payments[0].Refunded = "refunded", 5000, 4999
				},
				[]string{"payment pay_1 is refunded with 5000 captured and 4999 refunded"},
			},
			"held by the provider": {
				func(b *audit.Books) { b.Charges[0].Voided = 0 }, []string{"the provider holds 5000"},
			},
			"taken by the provider": {
				func(b *audit.Books) { b.Charges[0] = audit.Charge{Authorized: 5000, Captured: 5000, Refunded: 1} },
				[]string{"the provider took 5000 and gave back 1"},
			},
			"charged once more than undone": {
				func(b *audit.Books) { b.Charges = append(b.Charges, audit.Charge{Authorized: 5000}) },
				[]string{"the provider holds 5000"},
			},
			"still held": {
				func(b *audit.Books) { b.Reservations[0].State = "held" }, []string{"reservation res_1 is held"},
			},
			"taken from stock": {
				func(b *audit.Books) { b.Reservations[0].State = "committed" }, []string{"reservation res_1 is committed"},
			},
			"still booked": {
				func(b *audit.Books) { b.Shipments[1].State = "booked" }, []string{"shipment shp_2 is booked"},
			},
			"being booked": {
				func(b *audit.Books) { b.Shipments[1].State = "booking" }, []string{"shipment shp_2 is booking"},
			},
			"a parcel that will be fetched": {
				func(b *audit.Books) { b.Bookings = []audit.Booking{{OrderID: "ord_1"}} },
				[]string{"the carrier will fetch 1 parcels"},
			},
		} {
			books := func() audit.Books {
				b := undone()
				b.Order.Status = status
				return b
			}
			check(t, status+": "+name, books, tc.change, tc.wrong...)
		}
	}
}

func TestAnOrderIsNotWrongWhileItIsWorkedOn(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"pending", "cancelling"} {
		half := func() audit.Books {
			b := confirmed()
			b.Order.Status, b.Reservations[0].State, b.Order.PlacedAt = status, "held", now.Add(-patience)
			return b
		}
		check(t, status, half, func(*audit.Books) {})
		check(t, status+" for too long", half, func(b *audit.Books) { b.Order.PlacedAt = now.Add(-patience - time.Second) },
			"it is "+status+" for 10m1s")
	}
	check(t, "parked", confirmed, func(b *audit.Books) { b.Order.Status = "needs_attention" }, "it waits for an operator")
}

func TestAStateThatTheAuditDoesNotKnowIsAFinding(t *testing.T) {
	t.Parallel()
	check(t, "state", confirmed, func(b *audit.Books) { b.Order.Status = "levitating" }, `the status "levitating" is not known`)
}

func TestNothingIsKeptForAnOrderThatDoesNotExist(t *testing.T) {
	t.Parallel()
	check(t, "marks of undos", undone, func(b *audit.Books) { b.Order = nil })
	check(t, "a payment", undone, func(b *audit.Books) { b.Order, b.Payments[0].State = nil, "authorized" },
		"there is no such order", "payment pay_1 is authorized with 0 captured and 0 refunded")
}
