package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

func TestAnImpatientClientPlacesOneOrder(t *testing.T) {
	t.Parallel()
	const calls = 30
	c := ordersClient(t, platform)
	order := newOrder("pm_card_visa", berlin)
	order.CustomerID = "impatient-" + uuid.NewString()
	params := &orders.PlaceOrderParams{IdempotencyKey: uuid.NewString()}

	var mu sync.Mutex
	answers, ids := map[string]int{}, map[string]bool{}
	var clients sync.WaitGroup
	for range calls {
		clients.Go(func() {
			res, err := c.PlaceOrderWithResponse(t.Context(), params, order)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				answers[err.Error()]++
			case res.JSON202 != nil:
				ids[res.JSON202.ID] = true
				answers["202"+res.HTTPResponse.Header.Get("Idempotency-Replayed")]++
			default:
				answers[fmt.Sprint(res.StatusCode(), " ", res.ApplicationProblemJSONDefault.Code)]++
			}
		})
	}
	clients.Wait()
	require.Len(t, ids, 1, "%v", answers)
	require.Equal(t, 1, answers["202"], "%v", answers)
	require.Equal(t, calls, answers["202"]+answers["202true"]+answers["409 idempotency_key_in_use"], "%v", answers)

	res, err := c.ListOrdersWithResponse(t.Context(), &orders.ListOrdersParams{CustomerID: &order.CustomerID})
	require.NoError(t, err)
	require.Len(t, res.JSON200.Items, 1)
	id := res.JSON200.Items[0].ID
	require.True(t, ids[id])
	require.Equal(t, orders.OrderStatusConfirmed, end(t, c, id, time.Minute).Status)
	require.Empty(t, findings(t, platform)[id])
}

func TestACancellationEndsInOneOfTwoWaysWheneverItComes(t *testing.T) {
	t.Parallel()
	const (
		n      = 30
		stages = 7 // entries in the timeline of an order that is confirmed
	)
	c := ordersClient(t, platform)
	ids := make([]string, n)
	var clients sync.WaitGroup
	for i := range n {
		clients.Go(func() {
			var err error
			if ids[i], err = place(t.Context(), c, newOrder("pm_card_visa", berlin)); err != nil {
				t.Errorf("order %d: %v", i, err)
				return
			}
			for seen := 0; seen < i%stages && t.Context().Err() == nil; { // Each is at another stage, whatever the load.
				if res, err := c.ListOrderEventsWithResponse(t.Context(), ids[i], nil); err == nil && res.JSON200 != nil {
					seen = len(res.JSON200.Items)
				}
			}
			res, err := c.CancelOrderWithResponse(t.Context(), ids[i],
				&orders.CancelOrderParams{IdempotencyKey: uuid.NewString()}, orders.Cancellation{})
			switch {
			case err != nil:
				t.Errorf("cancel %s: %v", ids[i], err)
			case res.StatusCode() == http.StatusAccepted, res.StatusCode() == http.StatusOK:
			case res.StatusCode() == http.StatusConflict && res.ApplicationProblemJSONDefault.Code == "order_not_cancellable":
			default:
				t.Errorf("cancel %s: %d %s", ids[i], res.StatusCode(), res.Body)
			}
		})
	}
	clients.Wait()
	require.False(t, t.Failed())
	ends := map[orders.OrderStatus]int{}
	for _, id := range ids {
		ends[end(t, c, id, time.Minute).Status]++
	}
	t.Logf("ends: %v", ends)
	require.Equal(t, n, ends[orders.OrderStatusCancelled]+ends[orders.OrderStatusConfirmed], "%v", ends)
	wrong := findings(t, platform)
	for _, id := range ids {
		require.Empty(t, wrong[id], id)
	}
}
