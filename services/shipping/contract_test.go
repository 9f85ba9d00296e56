package shipping_test

import (
	"testing"
	"time"

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

func TestActivities(t *testing.T) {
	t.Parallel()
	codes := func(list []*errs.Error) (out []string) {
		for _, e := range list {
			out = append(out, e.Code)
		}
		return out
	}
	require.Equal(t, "shipping/Book", shipping.Book.Name)
	require.Equal(t, "shipping", shipping.Book.Queue)
	require.Equal(t, 10*time.Second, shipping.Book.Heartbeat)
	require.Equal(t, []string{
		"invalid_address", "invalid_shipment", "address_refused", "shipment_cancelled", "shipment_mismatch",
	}, codes(shipping.Book.Final))
	require.Equal(t, "shipping/Cancel", shipping.Cancel.Name)
	require.Equal(t, "shipping", shipping.Cancel.Queue)
	require.Equal(t, []string{"shipment_dispatched"}, codes(shipping.Cancel.Final))
	for _, e := range append(shipping.Book.Final, shipping.Cancel.Final...) {
		require.False(t, e.Kind.Retryable(), e.Code)
	}
	for _, e := range []*errs.Error{shipping.ErrCarrierUnavailable, shipping.ErrOutcomeUnknown} {
		require.True(t, e.Kind.Retryable(), e.Code)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	require.Equal(t, "SHIPPING", shipping.Stream.Name)
	require.Equal(t, []string{"shipping.>"}, shipping.Stream.Subjects)
	require.Equal(t, "shipping.shipment.booked.v1", shipping.EventBooked.Type)
	require.Equal(t, "shipping.shipment.refused.v1", shipping.EventRefused.Type)
	require.Equal(t, "shipping.shipment.cancelled.v1", shipping.EventCancelled.Type)
	require.Equal(t, "shipping.shipment.dispatched.v1", shipping.EventDispatched.Type)
}
