// Only the local stack writes its spans to a file.
//go:build !compose

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

// planted are words that no span may hold. The tokens' beginning stands for all of them.
var planted = []string{"Zaphod Secretus", "Geheimgasse", "Verborgenheim", "pm_card_", "pm_sandbox_"}

// tracedOrder is an order, and what its trace must tell.
type tracedOrder struct {
	token, postal string
	lines         []orders.OrderLine
	status        orders.OrderStatus
	// steps are the activities, each of which is called once; retried those of them that need more attempts.
	steps, retried []string
	// during is done while the saga runs, once the payment is authorized.
	during func(t *testing.T, c *orders.ClientWithResponses, id string, placing clientSpan)
}

var tracedOrders = map[string]tracedOrder{
	"confirmed": {
		token: "pm_card_visa", postal: berlin, status: orders.OrderStatusConfirmed,
		steps: []string{
			"inventory/Reserve", "payments/Authorize", "shipping/Book", "payments/Capture", "inventory/Commit",
			"orders/Confirm",
		},
	},
	"declined": {
		token: "pm_card_chargeDeclined", postal: berlin, status: orders.OrderStatusFailed,
		steps: []string{
			"inventory/Reserve", "payments/Authorize", "payments/Cancel", "inventory/Release", "orders/Close",
		},
	},
	"out of stock": {
		token: "pm_card_visa", postal: berlin, status: orders.OrderStatusFailed,
		lines: []orders.OrderLine{line("RARE-VINYL", 2)},
		steps: []string{"inventory/Reserve", "inventory/Release", "orders/Close"},
	},
	"carrier down": {
		token: "pm_card_visa", postal: carrierIsDown, status: orders.OrderStatusFailed,
		steps: []string{
			"inventory/Reserve", "payments/Authorize", "shipping/Book", "shipping/Cancel", "payments/Cancel",
			"inventory/Release", "orders/Close",
		},
		retried: []string{"shipping/Book"},
	},
	"outcome looked up": {
		token: "pm_sandbox_timeout", postal: berlin, status: orders.OrderStatusConfirmed,
		steps: []string{
			"inventory/Reserve", "payments/Authorize", "shipping/Book", "payments/Capture", "inventory/Commit",
			"orders/Confirm",
		},
		retried: []string{"payments/Authorize"},
	},
	"cancelled": {
		token: "pm_card_visa", postal: slowCarrier, status: orders.OrderStatusCancelled,
		steps: []string{
			"inventory/Reserve", "payments/Authorize", "shipping/Book", "shipping/Cancel", "payments/Cancel",
			"inventory/Release", "orders/Close",
		},
		during: func(t *testing.T, c *orders.ClientWithResponses, id string, _ clientSpan) {
			t.Helper()
			client := newClientSpan()
			res, err := c.CancelOrderWithResponse(t.Context(), id,
				&orders.CancelOrderParams{IdempotencyKey: uuid.NewString()}, orders.Cancellation{}, client.header)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, res.StatusCode(), "%s", res.Body)
			eventuallyTraced(t, client, "POST /v1/orders/{id}/cancel", func(tr *spanTree) []string {
				if len(tr.named("SignalWorkflow:cancel")) != 1 {
					return []string{"the saga is not signalled once"}
				}
				return nil
			})
		},
	},
}

// TestEveryOrderIsOneTrace and the next test are not parallel: that one kills, and what is not sent yet dies too.
func TestEveryOrderIsOneTrace(t *testing.T) { //nolint:paralleltest // See above.
	c := ordersClient(t, platform)
	var all sync.WaitGroup
	for name, o := range tracedOrders { //nolint:paralleltest // They end before the next test.
		all.Go(func() { t.Run(name, func(t *testing.T) { o.requireTrace(t, c) }) })
	}
	all.Wait()
	requireNothingPlanted(t)
}

func TestATraceSurvivesTheDeathOfTheOrchestrator(t *testing.T) { //nolint:paralleltest // See above.
	o := tracedOrders["confirmed"]
	o.postal = slowCarrier
	o.during = func(t *testing.T, _ *orders.ClientWithResponses, _ string, placing clientSpan) {
		t.Helper()
		// What a process has not sent yet dies with it; that the saga was started it has told.
		require.Eventually(t, func() bool { return len(readTrace(t, placing).named("StartWorkflow:OrderSaga")) == 1 },
			10*time.Second, 100*time.Millisecond)
		platform.kill(t, "orchestrator")
	}
	o.requireTrace(t, ordersClient(t, platform))
	requireNothingPlanted(t)
}

func requireNothingPlanted(t *testing.T) {
	t.Helper()
	spans := spansFile(t)
	for _, word := range planted {
		if strings.Contains(spans, word) { // The file is too long to be printed.
			t.Errorf("a span holds %s", word)
		}
	}
}

func (o tracedOrder) requireTrace(t *testing.T, c *orders.ClientWithResponses) {
	t.Helper()
	client := newClientSpan()
	order := newOrder(o.token, o.postal, o.lines...)
	order.ShippingAddress.Name, order.ShippingAddress.Line1 = planted[0], planted[1]+" 42"
	order.ShippingAddress.City = planted[2]
	res, err := c.PlaceOrderWithResponse(t.Context(),
		&orders.PlaceOrderParams{IdempotencyKey: uuid.NewString()}, order, client.header)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, res.StatusCode(), "%s", res.Body)
	id := res.JSON202.ID
	if o.during != nil {
		require.Eventually(t, func() bool { return containsAll(timeline(t, c, id), []string{"payment.authorized"}) },
			20*time.Second, 50*time.Millisecond)
		askForSaga(t, id)
		o.during(t, c, id, client)
	}
	require.Equal(t, o.status, end(t, c, id, time.Minute).Status)
	eventuallyTraced(t, client, "POST /v1/orders", o.problems)
	// A query replays the saga, which is no reason to tell of it again.
	for range 3 {
		askForSaga(t, id)
	}
	time.Sleep(time.Second) // longer than spans wait to be sent
	eventuallyTraced(t, client, "POST /v1/orders", o.problems)
}

func askForSaga(t *testing.T, id string) {
	t.Helper()
	require.Eventually(t, func() bool { return ready(platform.URLs["orchestrator"] + "/v1/sagas/" + id) },
		20*time.Second, 100*time.Millisecond, "no answer about the saga of %s", id)
}

// problems says what is wrong with the trace of the order.
func (o tracedOrder) problems(tr *spanTree) (found []string) {
	for _, name := range []string{"StartWorkflow:OrderSaga", "RunWorkflow:OrderSaga"} {
		if n := len(tr.named(name)); n != 1 {
			found = append(found, fmt.Sprintf("%s is there %d times", name, n))
		}
	}
	attempts := map[string][]string{}
	for _, s := range tr.spans {
		if name, ok := strings.CutPrefix(s.Name, "RunActivity:"); ok {
			attempts[name] = append(attempts[name], s.attribute("temporalActivityAttempt"))
		}
	}
	for name, numbers := range attempts {
		slices.Sort(numbers)
		for i, number := range numbers {
			if number != fmt.Sprint(i+1) {
				found = append(found, fmt.Sprintf("the attempts of %s are %v", name, numbers))
			}
		}
		if !slices.Contains(o.steps, name) {
			found = append(found, name+" is no step of this order")
		}
	}
	for _, name := range o.steps {
		if len(attempts[name]) == 0 {
			found = append(found, name+" is missing")
		}
		if slices.Contains(o.retried, name) && len(attempts[name]) < 2 {
			found = append(found, name+" was not tried again")
		}
	}
	return found
}

// eventuallyTraced waits until the trace of the client's span is whole, and fails with what is wrong with it.
func eventuallyTraced(t *testing.T, client clientSpan, root string, problems func(*spanTree) []string) {
	t.Helper()
	var found []string
	var tr *spanTree
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		tr = readTrace(t, client)
		if found = append(tr.problems(root), problems(tr)...); len(found) == 0 {
			return
		}
	}
	require.Empty(t, found, "%s", tr)
}

// clientSpan is the span of a client who places an order.
type clientSpan struct{ traceID, spanID string }

func newClientSpan() clientSpan {
	id := func() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }
	return clientSpan{id(), id()[:16]}
}

func (c clientSpan) header(_ context.Context, req *http.Request) error {
	req.Header.Set("Traceparent", "00-"+c.traceID+"-"+c.spanID+"-01")
	return nil
}

// spansFile returns all spans that the platform has told, in lines of OTLP/JSON.
func spansFile(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(platform.Traces, "*.jsonl"))
	require.NoError(t, err)
	var all strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		all.Write(b)
	}
	return all.String()
}
