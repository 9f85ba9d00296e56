package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	operations "github.com/orderflow/orderflow/orchestrator/client"
	"github.com/orderflow/orderflow/pkg/openapitest"
	orders "github.com/orderflow/orderflow/services/orders/client"
	payments "github.com/orderflow/orderflow/services/payments/client"
	shipping "github.com/orderflow/orderflow/services/shipping/client"
)

// voidDown is a card whose authorization cannot be voided while the provider's outage lasts, which is from the start.
const voidDown = "pm_sandbox_voidDown"

func operationsClient(t *testing.T) *operations.ClientWithResponses {
	t.Helper()
	c, err := operations.NewClientWithResponses(platform.URLs["orchestrator"], operations.WithHTTPClient(&http.Client{
		Transport: openapitest.Transport(t, documents(t)["orchestrator"], nil), Timeout: time.Minute,
	}))
	require.NoError(t, err)
	return c
}

func setVoidOutage(t *testing.T, down bool) {
	t.Helper()
	c, err := payments.NewClientWithResponses(platform.URLs["payments"])
	require.NoError(t, err)
	res, err := c.SetSandboxOutageWithResponse(t.Context(), payments.SandboxOutage{Void: down})
	require.NoError(t, err)
	require.NotNil(t, res.JSON200, "%s", res.Body)
}

// parkedOrder places an order and waits until one of its steps is parked.
func parkedOrder(t *testing.T, o orders.NewOrder, step string) string {
	t.Helper()
	c, operators := ordersClient(t, platform), operationsClient(t)
	id, err := place(t.Context(), c, o)
	require.NoError(t, err)
	awaitStep(t, operators, id, step, operations.StepStateParked)
	return id
}

func awaitStep(t *testing.T, c *operations.ClientWithResponses, id, name string, state operations.StepState) (st operations.Step) {
	t.Helper()
	require.Eventually(t, func() bool {
		saga := getSaga(t, c, id)
		i := slices.IndexFunc(saga.Steps, func(s operations.Step) bool { return s.Name == name && s.State == state })
		if i >= 0 {
			st = saga.Steps[i]
		}
		return i >= 0
	}, time.Minute, 100*time.Millisecond, "step %s of %s does not become %s", name, id, state)
	return st
}

func getSaga(t *testing.T, c *operations.ClientWithResponses, id string) operations.Saga {
	t.Helper()
	res, err := c.GetSagaWithResponse(t.Context(), id)
	require.NoError(t, err)
	if res.JSON200 == nil {
		return operations.Saga{} // It has not begun yet.
	}
	return *res.JSON200
}

func resolve(
	t *testing.T, c *operations.ClientWithResponses, id, key string, d operations.Decision,
) *operations.ResolveStepHTTPResponse {
	t.Helper()
	res, err := c.ResolveStepWithResponse(t.Context(), id, &operations.ResolveStepParams{IdempotencyKey: key}, d)
	require.NoError(t, err)
	return res
}

// listed returns the orders whose sagas are in a state, read page by page.
func listed(t *testing.T, c *operations.ClientWithResponses, state operations.SagaState, limit int) map[string]operations.SagaState {
	t.Helper()
	params := &operations.ListSagasParams{State: &state, Limit: &limit}
	if state == "" {
		params.State = nil
	}
	found := map[string]operations.SagaState{}
	for {
		res, err := c.ListSagasWithResponse(t.Context(), params)
		require.NoError(t, err)
		require.NotNil(t, res.JSON200, "%s", res.Body)
		require.LessOrEqual(t, len(res.JSON200.Items), limit)
		for _, it := range res.JSON200.Items {
			require.Equal(t, it.OrderID, strings.TrimPrefix(it.WorkflowID, "order/"))
			if state != "" {
				require.Equal(t, state, it.State)
			}
			found[it.OrderID] = it.State
		}
		if params.Cursor = res.JSON200.NextCursor; params.Cursor == nil {
			return found
		}
	}
}

func TestAParkedUndoIsRetriedUntilItsCauseIsCured(t *testing.T) {
	t.Parallel()
	c, operators := ordersClient(t, platform), operationsClient(t)
	setVoidOutage(t, true)
	defer setVoidOutage(t, true)
	const step = "payments/Cancel"
	id := parkedOrder(t, newOrder(voidDown, carrierIsDown), step)

	require.Eventually(t, func() bool {
		res, err := c.GetOrderWithResponse(t.Context(), id)
		return err == nil && res.JSON200 != nil && res.JSON200.EndedAt == nil &&
			res.JSON200.Status == orders.OrderStatusNeedsAttention
	}, 20*time.Second, 100*time.Millisecond)
	awaitListed(t, operators, id, operations.SagaStateNeedsAttention)
	require.Contains(t, findings(t, platform)[id], "it waits for an operator")
	saga := getSaga(t, operators, id)
	require.Equal(t, operations.SagaStateNeedsAttention, saga.State)
	awaitStep(t, operators, id, "inventory/Release", operations.StepStateDone) // One undo that fails keeps none back.
	awaitStep(t, operators, id, "shipping/Book", operations.StepStateFailed)
	parked := awaitStep(t, operators, id, step, operations.StepStateParked)
	require.Equal(t, "payment_provider_unavailable", *parked.Code)
	require.NotEmpty(t, *parked.Message)

	again := operations.Decision{Step: step, Action: operations.Retry, Reason: "the provider says it is back"}
	firstKey := uuid.NewString()
	first := resolve(t, operators, id, firstKey, again)
	require.NotNil(t, first.JSON200, "%s", first.Body)
	require.Equal(t, operations.StepStateParked, first.JSON200.State)
	require.Equal(t, "payment_provider_unavailable", *first.JSON200.Code)

	setVoidOutage(t, false)
	key := uuid.NewString()
	cured := resolve(t, operators, id, key, again)
	require.NotNil(t, cured.JSON200, "%s", cured.Body)
	require.Equal(t, operations.StepStateDone, cured.JSON200.State)
	require.Equal(t, again.Reason, cured.JSON200.Decision.Reason)

	order := end(t, c, id, time.Minute)
	require.Equal(t, orders.OrderStatusFailed, order.Status)
	require.Equal(t, "carrier_unavailable", order.Reason.Code, "why it failed is what was wrong first")
	require.Eventually(t, func() bool {
		return containsAll(timeline(t, c, id), []string{"order.needs_attention", "payment.voided", "order.failed"})
	}, 10*time.Second, 100*time.Millisecond)
	require.Empty(t, findings(t, platform)[id])

	// Each call is answered as it was, though nothing is parked any more.
	require.JSONEq(t, string(first.Body), string(resolve(t, operators, id, firstKey, again).Body))
	require.JSONEq(t, string(cured.Body), string(resolve(t, operators, id, key, again).Body))
	other := again
	other.Reason = "another reason"
	reused := resolve(t, operators, id, key, other)
	require.Equal(t, http.StatusUnprocessableEntity, reused.StatusCode(), "%s", reused.Body)
	require.Equal(t, "idempotency_key_reused", reused.ApplicationProblemJSONDefault.Code)
	late := resolve(t, operators, id, uuid.NewString(), again)
	require.Equal(t, "decision_rejected", late.ApplicationProblemJSONDefault.Code, "%s", late.Body)
}

func TestAParkedStepIsSkippedOnceItWasPutRightByHand(t *testing.T) {
	t.Parallel()
	c, operators := ordersClient(t, platform), operationsClient(t)
	carrier, err := shipping.NewClientWithResponses(platform.URLs["shipping"])
	require.NoError(t, err)
	setOutage := func(down bool) {
		res, err := carrier.SetOutageWithResponse(t.Context(), shipping.Outage{Cancel: down})
		require.NoError(t, err)
		require.NotNil(t, res.JSON200, "%s", res.Body)
	}
	setOutage(true)
	defer setOutage(true)
	const step = "shipping/Cancel"
	id := parkedOrder(t, newOrder("pm_sandbox_captureRefused", cannotBeCalledOff), step)

	refusals := visitor{t: t, service: "orchestrator", client: http.Client{
		Transport: openapitest.Transport(t, documents(t)["orchestrator"], nil), Timeout: time.Minute,
	}}
	for name, tc := range map[string]struct {
		order, body string
		expected    string
	}{
		"half a decision":   {id, `{"step":`, "400 json_malformed"},
		"no reason":         {id, `{"step":"shipping/Cancel","action":"skip"}`, "422 request_invalid"},
		"empty reason":      {id, `{"step":"shipping/Cancel","action":"skip","reason":""}`, "422 request_invalid"},
		"blank reason":      {id, `{"step":"shipping/Cancel","action":"skip","reason":" \t"}`, "409 decision_rejected"},
		"unknown action":    {id, `{"step":"shipping/Cancel","action":"pray","reason":"r"}`, "422 request_invalid"},
		"unknown step":      {id, `{"step":"shipping/Burn","action":"skip","reason":"r"}`, "409 decision_rejected"},
		"step that failed":  {id, `{"step":"payments/Capture","action":"skip","reason":"r"}`, "409 decision_rejected"},
		"step that is done": {id, `{"step":"payments/Cancel","action":"retry","reason":"r"}`, "409 decision_rejected"},
		"operator in body":  {id, `{"step":"shipping/Cancel","action":"skip","reason":"r","operator":"eve"}`, "400 request_malformed"},
		"unknown order":     {"ord_019360c2-0000-7000-8000-000000000000", `{"step":"shipping/Cancel","action":"skip","reason":"r"}`, "404 saga_not_found"},
	} {
		p := refusals.problem(posting("/v1/sagas/"+tc.order+"/resolutions", uuid.NewString(), tc.body))
		require.Equal(t, tc.expected, statusAndCode(p), name)
	}
	p := refusals.problem(posting("/v1/sagas/"+id+"/resolutions", uuid.NewString(), `{"step":"shipping/Cancel","action":"skip","reason":"r"}`).
		with("Orderflow-Scopes", "orders:read"))
	require.Equal(t, "403 scope_missing", statusAndCode(p))
	require.Equal(t, operations.SagaStateNeedsAttention, getSaga(t, operators, id).State)

	setOutage(false)
	shipments, err := carrier.ListShipmentsWithResponse(t.Context(), &shipping.ListShipmentsParams{OrderID: &id})
	require.NoError(t, err)
	require.Len(t, shipments.JSON200.Items, 1)
	off, err := carrier.CancelShipmentWithResponse(t.Context(), shipments.JSON200.Items[0].ID,
		&shipping.CancelShipmentParams{IdempotencyKey: uuid.NewString()})
	require.NoError(t, err)
	require.NotNil(t, off.JSON200, "%s", off.Body)

	const reason = "called off by phone, ticket 4711"
	skipped := resolve(t, operators, id, uuid.NewString(),
		operations.Decision{Step: step, Action: operations.Skip, Reason: reason})
	require.NotNil(t, skipped.JSON200, "%s", skipped.Body)
	require.Equal(t, operations.StepStateSkipped, skipped.JSON200.State)
	order := end(t, c, id, time.Minute)
	require.Equal(t, orders.OrderStatusFailed, order.Status)
	require.Equal(t, "capture_refused", order.Reason.Code)

	decision := awaitStep(t, operators, id, step, operations.StepStateSkipped).Decision
	require.Equal(t, operations.TakenDecision{
		Action: operations.Skip, Reason: reason, Operator: "development",
	}, *decision)
	require.Empty(t, findings(t, platform)[id])
}

// TestAStepBehindThePivotIsParkedWithoutTheCustomersNotice has a reservation vanish while the carrier takes its time,
// which no API can do.
func TestAStepBehindThePivotIsParkedWithoutTheCustomersNotice(t *testing.T) {
	t.Parallel()
	c, operators := ordersClient(t, platform), operationsClient(t)
	id, err := place(t.Context(), c, newOrder("pm_card_visa", slowCarrier))
	require.NoError(t, err)
	awaitStep(t, operators, id, "shipping/Book", operations.StepStateRunning)
	tamper(t, platform, "inventory", `UPDATE reservations SET state = 'released' WHERE order_id = $1`, id)

	parked := awaitStep(t, operators, id, "inventory/Commit", operations.StepStateParked)
	require.Equal(t, "reservation_released", *parked.Code)
	require.Equal(t, orders.OrderStatusConfirmed, end(t, c, id, time.Minute).Status)
	awaitListed(t, operators, id, operations.SagaStateNeedsAttention)
	require.NotEmpty(t, findings(t, platform)[id], "the audit does not see what is missing")

	tamper(t, platform, "inventory", `UPDATE reservations SET state = 'held' WHERE order_id = $1`, id)
	cured := resolve(t, operators, id, uuid.NewString(),
		operations.Decision{Step: "inventory/Commit", Action: operations.Retry, Reason: "the reservation is back"})
	require.NotNil(t, cured.JSON200, "%s", cured.Body)
	require.Equal(t, operations.StepStateDone, cured.JSON200.State)
	awaitListed(t, operators, id, operations.SagaStateConfirmed)
	require.Equal(t, orders.OrderStatusConfirmed, end(t, c, id, time.Second).Status)
	require.Empty(t, findings(t, platform)[id])
}

// awaitListed waits until a saga is in the list of a state and in no other.
func awaitListed(t *testing.T, c *operations.ClientWithResponses, id string, state operations.SagaState) {
	t.Helper()
	var where []operations.SagaState
	for patience := time.Now().Add(time.Minute); !slices.Equal(where, []operations.SagaState{state}); {
		require.True(t, time.Now().Before(patience), "saga %s is listed as %v, not as %s alone", id, where, state)
		where = nil
		for _, each := range []operations.SagaState{
			operations.SagaStateRunning, operations.SagaStateCompensating, operations.SagaStateNeedsAttention,
			operations.SagaStateConfirmed, operations.SagaStateCancelled, operations.SagaStateFailed,
			operations.SagaStateBroken,
		} {
			if _, ok := listed(t, c, each, 100)[id]; ok {
				where = append(where, each)
			}
		}
	}
	require.Equal(t, state, listed(t, c, "", 100)[id])
}

func TestSagasAreListedByTheirState(t *testing.T) {
	t.Parallel()
	c, operators := ordersClient(t, platform), operationsClient(t)
	placed := func(o orders.NewOrder) string {
		id, err := place(t.Context(), c, o)
		require.NoError(t, err)
		return id
	}
	running := placed(newOrder("pm_card_visa", carrierIsDown))
	awaitListed(t, operators, running, operations.SagaStateRunning)
	confirmed, failed, cancelled := placed(newOrder("pm_card_visa", berlin)),
		placed(newOrder("pm_card_chargeDeclined", berlin)), placed(newOrder("pm_card_visa", slowCarrier))
	awaitStep(t, operators, cancelled, "shipping/Book", operations.StepStateRunning) // Later it would be too late.
	res, err := c.CancelOrderWithResponse(t.Context(), cancelled,
		&orders.CancelOrderParams{IdempotencyKey: uuid.NewString()}, orders.Cancellation{})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, res.StatusCode(), "%s", res.Body)
	awaitListed(t, operators, confirmed, operations.SagaStateConfirmed)
	awaitListed(t, operators, failed, operations.SagaStateFailed)
	awaitListed(t, operators, cancelled, operations.SagaStateCancelled)
	awaitListed(t, operators, running, operations.SagaStateFailed)
	broken := "broken-" + uuid.NewString()
	breakSaga(t, broken)
	awaitListed(t, operators, broken, operations.SagaStateBroken)

	// Pages of any size hold the same sagas.
	require.Subset(t, keys(listed(t, operators, "", 7)), []string{confirmed, failed, cancelled, running, broken})
	require.Subset(t, keys(listed(t, operators, operations.SagaStateCancelled, 1)), []string{cancelled})
}

// breakSaga starts a saga that nobody works on and ends it by force.
func breakSaga(t *testing.T, id string) {
	t.Helper()
	workflow := platform.URLs["temporal_http"] + "/api/v1/namespaces/orderflow/workflows/" + id
	for _, call := range []struct{ address, body string }{
		{workflow, `{"workflowType":{"name":"OrderSaga"},"taskQueue":{"name":"nobody"}}`},
		{workflow + "/terminate", `{"reason":"test"}`},
	} {
		res, err := http.Post(call.address, "application/json", strings.NewReader(call.body))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.NoError(t, res.Body.Close())
	}
}

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

func TestABadCursorOfTheListOfSagasIsRefused(t *testing.T) {
	t.Parallel()
	c, operators := ordersClient(t, platform), operationsClient(t)
	for range 2 {
		id, err := place(t.Context(), c, newOrder("pm_card_chargeDeclined", berlin))
		require.NoError(t, err)
		awaitListed(t, operators, id, operations.SagaStateFailed)
	}
	state, one := operations.SagaStateFailed, 1
	page, err := operators.ListSagasWithResponse(t.Context(), &operations.ListSagasParams{State: &state, Limit: &one})
	require.NoError(t, err)
	require.Len(t, page.JSON200.Items, 1)
	require.NotNil(t, page.JSON200.NextCursor)

	other := operations.SagaStateConfirmed
	for name, tc := range map[string]struct {
		params   operations.ListSagasParams
		expected string
	}{
		"of another list": {operations.ListSagasParams{State: &other, Cursor: page.JSON200.NextCursor}, "cursor_filter_mismatch"},
		"of no list":      {operations.ListSagasParams{State: &state, Cursor: new("eyJDbG9zZVRpbWUiOjF9")}, "cursor_malformed"},
	} {
		res, err := operators.ListSagasWithResponse(t.Context(), &tc.params)
		require.NoError(t, err)
		require.NotNil(t, res.ApplicationProblemJSONDefault, name)
		require.Equal(t, tc.expected, res.ApplicationProblemJSONDefault.Code, name)
	}
}
