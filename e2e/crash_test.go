package e2e

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

// TestAHundredOrdersSurviveTheDeathOfEveryProcess is not parallel: nobody else should be disturbed by the deaths.
func TestAHundredOrdersSurviveTheDeathOfEveryProcess(t *testing.T) { //nolint:paralleltest // See above.
	const n = 100
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
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	ids := make([]string, n)
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			// Spread over the time in which processes die.
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
	for _, victim := range []string{
		"shipping", "payments", "inventory", "orchestrator", "temporal", "orders", "nats", "temporal", "payments",
	} {
		platform.kill(t, victim)
	}
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

func TestAStoppedStackLeavesNothingBehindAndStillKnowsItsOrders(t *testing.T) {
	t.Parallel()
	data := filepath.Join(filepath.Dir(programs), "restarted")
	s, err := startStack(data)
	require.NoError(t, err)
	c := ordersClient(t, s)
	id, err := place(t.Context(), c, newOrder("pm_card_visa", berlin))
	require.NoError(t, err)
	before := end(t, c, id, time.Minute)
	require.NoError(t, s.stop())

	s, err = startStack(data)
	require.NoError(t, err)
	require.Equal(t, before, end(t, ordersClient(t, s), id, time.Second))
	require.NoError(t, s.stop())
}
