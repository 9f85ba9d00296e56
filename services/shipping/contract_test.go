package shipping_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
)

func TestWireTypes(t *testing.T) {
	t.Parallel()
	items := []shipping.Item{{SKU: "TEA-1", Quantity: 2}}
	contracttest.Golden(t, "book_request", shipping.BookRequest{
		OrderID: "ord_1", FulfilmentID: "1", Warehouse: "berlin", Items: items,
		To: shipping.Address{
			Name: "Ada Lovelace", Line1: "Invalidenstr. 1", Line2: "Hof 2", City: "Berlin", Region: "BE",
			PostalCode: "10115", Country: "DE",
		},
	})
	contracttest.Golden(t, "booking", shipping.Booking{
		ShipmentID: "shp_1", Carrier: "sandbox", TrackingNumber: "SBX1",
	})
	contracttest.Golden(t, "cancel_request", shipping.CancelRequest{OrderID: "ord_1", FulfilmentIDs: []string{"1", "2"}})
	contracttest.Golden(t, "ack", shipping.Ack{})
	contracttest.Golden(t, "changed", shipping.Changed{
		ShipmentID: "shp_1", OrderID: "ord_1", FulfilmentID: "1", Warehouse: "berlin", State: "booked",
		Carrier: "sandbox", TrackingNumber: "SBX1", Code: "address_refused", Message: "No.",
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	contracttest.Contract(t,
		contracttest.Stream(shipping.Stream),
		contracttest.Activity(shipping.Book),
		contracttest.Activity(shipping.Cancel),
		contracttest.Event(shipping.EventBooked),
		contracttest.Event(shipping.EventRefused),
		contracttest.Event(shipping.EventCancelled),
		contracttest.Event(shipping.EventDispatched),
		contracttest.Failures(
			shipping.ErrAddressInvalid, shipping.ErrShipmentInvalid, shipping.ErrAddressRefused,
			shipping.ErrCarrierUnavailable, shipping.ErrOutcomeUnknown, shipping.ErrCancelled, shipping.ErrDispatched,
			shipping.ErrShipmentMismatch, shipping.ErrShipmentNotFound,
		),
	)
}

func TestFailuresThatEndAStepAreFinal(t *testing.T) {
	t.Parallel()
	for _, e := range append(shipping.Book.Final, shipping.Cancel.Final...) {
		require.False(t, e.Kind.Retryable(), e.Code)
	}
	for _, e := range []*errs.Error{shipping.ErrCarrierUnavailable, shipping.ErrOutcomeUnknown} {
		require.True(t, e.Kind.Retryable(), e.Code)
	}
}
