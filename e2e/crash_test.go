package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

// TestAHundredOrdersSurviveTheDeathOfEveryPart is not parallel: nobody else should be disturbed by the deaths.
func TestAHundredOrdersSurviveTheDeathOfEveryPart(t *testing.T) { //nolint:paralleltest // See above.
	survive(t, 100, func() {
		for _, victim := range mortals {
			platform.kill(t, victim)
		}
	})
}

// survive places n orders of every kind, spread over the time in which something bad is done, and wants each to come to
// its honest end.
func survive(t *testing.T, n int, bad func()) {
	t.Helper()
	c := ordersClient(t, platform)
	kinds := []orders.NewOrder{
		newOrder("pm_card_visa", berlin),
		newOrder("pm_card_visa", berlin, line("GRINDER", 1), line("TEAPOT", 1)),
		newOrder("pm_card_visa", slowCarrier),
		newOrder("pm_card_chargeDeclined", berlin),
		newOrder("pm_sandbox_timeout", berlin),
		newOrder("pm_card_visa", carrierRefuses),
		newOrder("pm_sandbox_slow", berlin),
		newOrder("pm_card_visa", carrierRecovers),
		newOrder("pm_sandbox_captureTimeout", berlin),
		newOrder("pm_card_visa", bookingLost),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	ids := make([]string, n)
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			select {
			case <-time.After(time.Duration(i) * 150 * time.Millisecond):
			case <-ctx.Done():
			}
			id, err := place(ctx, c, kinds[i%len(kinds)])
			if err != nil {
				t.Errorf("order %d was not accepted: %v", i, err)
			}
			ids[i] = id
		})
	}
	bad()
	clients.Wait()
	require.False(t, t.Failed())

	statuses := map[orders.OrderStatus]int{}
	for _, id := range ids {
		statuses[end(t, c, id, 4*time.Minute).Status]++
	}
	t.Logf("ends: %v", statuses)
	require.NotZero(t, statuses[orders.OrderStatusConfirmed])
	require.NotZero(t, statuses[orders.OrderStatusFailed])
	t.Log(platform.audit(t))
}
