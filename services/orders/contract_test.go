package orders_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/pkg/errs"
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
	require.Equal(t, "orders", orders.TaskQueue)
	require.Equal(t, contract.Stream{Name: "ORDERS", Subjects: []string{"orders.>"}}, orders.Stream)

	for name, want := range map[string]string{
		orders.Confirm.Name: "orders/Confirm",
		orders.Close.Name:   "orders/Close",
		orders.Park.Name:    "orders/Park",
	} {
		require.Equal(t, want, name)
	}
	for _, queue := range []string{orders.Confirm.Queue, orders.Close.Queue, orders.Park.Queue} {
		require.Equal(t, orders.TaskQueue, queue)
	}
	for event, want := range map[string]string{
		orders.EventPlaced.Type:          "orders.order.placed.v1",
		orders.EventCancelRequested.Type: "orders.order.cancel_requested.v1",
		orders.EventConfirmed.Type:       "orders.order.confirmed.v1",
		orders.EventCancelled.Type:       "orders.order.cancelled.v1",
		orders.EventFailed.Type:          "orders.order.failed.v1",
		orders.EventNeedsAttention.Type:  "orders.order.needs_attention.v1",
	} {
		require.Equal(t, want, event)
	}
	for failure, want := range map[*errs.Error]struct {
		code string
		kind errs.Kind
	}{
		orders.ErrInvalidOrder:      {"invalid_order", errs.Invalid},
		orders.ErrOrderNotFound:     {"order_not_found", errs.NotFound},
		orders.ErrIllegalTransition: {"illegal_order_transition", errs.Conflict},
	} {
		require.Equal(t, want.code, failure.Code)
		require.Equal(t, want.kind, failure.Kind)
	}
}
