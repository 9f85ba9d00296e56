//go:build compose

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

// TestARollingRestartUnderLoadFailsNoRequest is not parallel, because it is about what load it is under.
func TestARollingRestartUnderLoadFailsNoRequest(t *testing.T) { //nolint:paralleltest // See above.
	l := &load{t: t, http: http.Client{Timeout: 30 * time.Second}, expected: map[string]orders.OrderStatus{}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	clients.Go(func() { l.run(ctx) })
	for service := range lists {
		for _, id := range platform.replicas(t, service) {
			platform.restart(t, service, id)
		}
	}
	require.NoError(t, ctx.Err(), "the load ended before the last restart")
	cancel()
	clients.Wait()
	t.Logf("%d requests, %d orders", l.requests, len(l.expected))
	require.Empty(t, l.failures, "%d of %d requests failed", len(l.failures), l.requests)

	c := ordersClient(t, platform)
	var slowest time.Duration
	for id, expected := range l.expected {
		order := end(t, c, id, 4*time.Minute)
		require.Equal(t, expected, order.Status, id)
		slowest = max(slowest, order.EndedAt.Sub(order.PlacedAt))
	}
	t.Logf("the slowest order took %v", slowest)
	wrong := findings(t, platform)
	for id := range l.expected {
		require.Empty(t, wrong[id], id)
	}
}

// load is a number of clients that do not wait for each other and never try twice.
type load struct {
	t    *testing.T
	http http.Client

	mu       sync.Mutex
	requests int
	failures []string
	expected map[string]orders.OrderStatus // by order
}

// run places five orders a second, and looks into the books of each service as often, until it is told to stop.
func (l *load) run(ctx context.Context) {
	endings := []struct {
		order  orders.NewOrder
		status orders.OrderStatus
	}{
		{newOrder("pm_card_visa", berlin), orders.OrderStatusConfirmed},
		{newOrder("pm_card_visa", slowCarrier), orders.OrderStatusConfirmed},
		{newOrder("pm_card_chargeDeclined", berlin), orders.OrderStatusFailed},
		{newOrder("pm_card_visa", carrierRefuses), orders.OrderStatusFailed},
	}
	bodies := make([]string, len(endings))
	for i, e := range endings {
		bodies[i] = string(encode(l.t, e.order))
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		clients.Go(func() {
			kind := i % len(endings)
			if id, ok := l.place(bodies[kind]); ok {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.expected[id] = endings[kind].status
			}
		})
		for service, list := range lists {
			clients.Go(func() { l.call(http.MethodGet, platform.URLs[service]+list, "", http.StatusOK) })
		}
	}
}

func (l *load) place(body string) (id string, ok bool) {
	header, ok := l.call(http.MethodPost, platform.URLs["orders"]+"/v1/orders", body, http.StatusAccepted)
	location := header.Get("Location")
	return location[strings.LastIndex(location, "/")+1:], ok
}

// call sends one request and notes it as failed unless it is answered with the status.
func (l *load) call(method, address, body string, status int) (http.Header, bool) {
	begun := time.Now()
	header, err := func() (http.Header, error) {
		req, err := http.NewRequestWithContext(l.t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", uuid.NewString())
		}
		res, err := l.http.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != status {
			err = fmt.Errorf("%d %s", res.StatusCode, answer)
		}
		return res.Header, err
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if err != nil {
		l.failures = append(l.failures, fmt.Sprintf("%s %s at %s, after %v: %v",
			method, address, begun.Format(time.TimeOnly), time.Since(begun).Round(time.Millisecond), err))
	}
	return header, err == nil
}
