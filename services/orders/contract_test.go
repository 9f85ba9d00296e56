package orders_test

import (
	"testing"
	"time"

	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/services/orders"
)

func TestWireTypesArePinned(t *testing.T) {
	t.Parallel()
	const orderID = "ord_019360c2-0000-7000-8000-000000000000"
	contracttest.Golden(t, "order", goodOrder())
	contracttest.Golden(t, "placed", orders.Placed{
		OrderID: orderID, SealedOrder: []byte("sealed"), PlacedAt: time.Date(2026, 1, 31, 12, 0, 0, 5000, time.UTC),
	})
	contracttest.Golden(t, "cancel_requested", orders.CancelRequested{
		OrderID: orderID, Reason: "ordered twice", RequestedBy: "shop",
	})
	contracttest.Golden(t, "ended", orders.Ended{
		OrderID: orderID, Code: "payment_declined", Message: "The payment was declined.",
	})
	contracttest.Golden(t, "confirm_request", orders.ConfirmRequest{OrderID: orderID})
	contracttest.Golden(t, "close_request", orders.CloseRequest{
		OrderID: orderID, Outcome: orders.Failed, Code: "out_of_stock", Message: "Not everything is in stock.",
	})
	contracttest.Golden(t, "park_request", orders.ParkRequest{
		OrderID: orderID, Code: "undo_failed", Message: "We are looking into it.",
	})
	contracttest.Golden(t, "ack", orders.Ack{})
}

func TestNamesArePinned(t *testing.T) {
	t.Parallel()
	contracttest.Contract(t,
		contracttest.Stream(orders.Stream),
		contracttest.Activity(orders.Confirm),
		contracttest.Activity(orders.Close),
		contracttest.Activity(orders.Park),
		contracttest.Event(orders.EventPlaced),
		contracttest.Event(orders.EventCancelRequested),
		contracttest.Event(orders.EventConfirmed),
		contracttest.Event(orders.EventCancelled),
		contracttest.Event(orders.EventFailed),
		contracttest.Event(orders.EventNeedsAttention),
		contracttest.Failures(orders.ErrInvalidOrder, orders.ErrOrderNotFound, orders.ErrIllegalTransition),
	)
}
