package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

func TestEveryOrderComesToItsHonestEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		order  orders.NewOrder
		status orders.OrderStatus
		code   string
		// seen are types of the timeline that tell the story.
		seen []string
	}{
		"confirmed": {
			newOrder("pm_card_visa", berlin), orders.OrderStatusConfirmed, "",
			[]string{
				"order.placed", "reservation.held", "payment.authorized", "shipment.booked", "payment.captured",
				"reservation.committed", "order.confirmed",
			},
		},
		"confirmed from two warehouses": {
			newOrder("pm_card_visa", berlin, line("GRINDER", 2), line("TEAPOT", 3)), orders.OrderStatusConfirmed, "",
			[]string{"shipment.booked", "order.confirmed"},
		},
		"declined": {
			newOrder("pm_card_chargeDeclined", berlin), orders.OrderStatusFailed, "payment_declined",
			[]string{"reservation.held", "payment.declined", "reservation.released", "order.failed"},
		},
		"insufficient funds": {
			newOrder("pm_card_chargeDeclinedInsufficientFunds", berlin), orders.OrderStatusFailed, "insufficient_funds",
			[]string{"payment.declined", "reservation.released"},
		},
		"out of stock": {
			newOrder("pm_card_visa", berlin, line("RARE-VINYL", 2)), orders.OrderStatusFailed, "out_of_stock",
			[]string{"order.failed"},
		},
		"unknown article": {
			newOrder("pm_card_visa", berlin, line("NO-SUCH-THING", 1)), orders.OrderStatusFailed, "unknown_sku",
			[]string{"order.failed"},
		},
		"carrier refuses the address": {
			newOrder("pm_card_visa", carrierRefuses), orders.OrderStatusFailed, "address_refused",
			[]string{"payment.authorized", "payment.voided", "reservation.released", "order.failed"},
		},
		"carrier down": {
			newOrder("pm_card_visa", carrierIsDown), orders.OrderStatusFailed, "carrier_unavailable",
			[]string{"payment.authorized", "payment.voided", "reservation.released", "order.failed"},
		},
		"carrier slow": {
			newOrder("pm_card_visa", slowCarrier), orders.OrderStatusConfirmed, "", []string{"shipment.booked"},
		},
		"carrier recovers": {
			newOrder("pm_card_visa", carrierRecovers), orders.OrderStatusConfirmed, "", []string{"shipment.booked"},
		},
		"carrier's answer lost": {
			newOrder("pm_card_visa", bookingLost), orders.OrderStatusConfirmed, "", []string{"shipment.booked"},
		},
		"payment's outcome unknown, charged": {
			newOrder("pm_sandbox_timeout", berlin), orders.OrderStatusConfirmed, "",
			[]string{"payment.outcome_unknown", "payment.authorized", "payment.captured"},
		},
		"payment's outcome unknown, not charged": {
			newOrder("pm_sandbox_timeoutNotCharged", berlin), orders.OrderStatusConfirmed, "",
			[]string{"payment.outcome_unknown"},
		},
		"processing error cured by a retry": {
			newOrder("pm_card_chargeDeclinedProcessingError", berlin), orders.OrderStatusConfirmed, "",
			[]string{"payment.authorized"},
		},
		"capture refused": {
			newOrder("pm_sandbox_captureRefused", berlin), orders.OrderStatusFailed, "capture_refused",
			[]string{"shipment.cancelled", "payment.voided", "reservation.released"},
		},
		"capture's answer lost": {
			newOrder("pm_sandbox_captureTimeout", berlin), orders.OrderStatusConfirmed, "",
			[]string{"payment.captured", "order.confirmed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ordersClient(t, platform)
			id, err := place(t.Context(), c, tc.order)
			require.NoError(t, err)
			order := end(t, c, id, 2*time.Minute)

			code := ""
			if order.Reason != nil {
				code = order.Reason.Code
			}
			require.Equal(t, fmt.Sprint(tc.status, " ", tc.code), fmt.Sprint(order.Status, " ", code))
			require.Eventually(t, func() bool { return containsAll(timeline(t, c, id), tc.seen) },
				10*time.Second, 100*time.Millisecond, "the timeline lacks one of %v", tc.seen)
		})
	}
}

func containsAll(got, want []string) bool {
	have := map[string]bool{}
	for _, s := range got {
		have[s] = true
	}
	for _, s := range want {
		if !have[s] {
			return false
		}
	}
	return true
}

func TestAPendingOrderIsCancelledAndUndone(t *testing.T) {
	t.Parallel()
	c := ordersClient(t, platform)
	id, err := place(t.Context(), c, newOrder("pm_card_visa", slowCarrier))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return containsAll(timeline(t, c, id), []string{"payment.authorized"}) },
		20*time.Second, 50*time.Millisecond)

	wait := "wait=30"
	res, err := c.CancelOrderWithResponse(t.Context(), id,
		&orders.CancelOrderParams{IdempotencyKey: uuid.NewString(), Prefer: &wait}, orders.Cancellation{})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode(), "%s", res.Body)
	require.Equal(t, orders.OrderStatusCancelled, res.JSON200.Status)
	require.Eventually(t, func() bool {
		return containsAll(timeline(t, c, id), []string{"payment.voided", "reservation.released", "order.cancelled"})
	}, 10*time.Second, 100*time.Millisecond)
}

func TestPreferWaitAnswersWithTheSettledOrderAndReplaysIt(t *testing.T) {
	t.Parallel()
	c := ordersClient(t, platform)
	wait := "wait=30"
	params := &orders.PlaceOrderParams{IdempotencyKey: uuid.NewString(), Prefer: &wait}
	var first string
	for range 2 {
		res, err := c.PlaceOrderWithResponse(t.Context(), params, newOrder("pm_card_visa", berlin))
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, res.StatusCode(), "%s", res.Body)
		require.Equal(t, orders.OrderStatusConfirmed, res.JSON201.Status)
		require.Equal(t, "wait=30", res.HTTPResponse.Header.Get("Preference-Applied"))
		if first == "" {
			first = res.JSON201.ID
		}
		require.Equal(t, first, res.JSON201.ID, "one key is one order")
	}
}
