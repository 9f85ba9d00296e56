package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/client"
	"github.com/orderflow/orderflow/services/orders/internal/httpapi"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

func params(key, prefer string) *client.PlaceOrderParams {
	p := &client.PlaceOrderParams{IdempotencyKey: key}
	if prefer != "" {
		p.Prefer = &prefer
	}
	return p
}

func cancelParams(key, prefer string) *client.CancelOrderParams {
	p := &client.CancelOrderParams{IdempotencyKey: key}
	if prefer != "" {
		p.Prefer = &prefer
	}
	return p
}

func TestPlacingAnswers202WithTheOrderAndItsAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", ""), mugs())
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, res.StatusCode(), "%s", res.Body)
	placed := res.JSON202
	require.Equal(t, "/v1/orders/"+placed.ID, res.HTTPResponse.Header.Get("Location"))
	require.Empty(t, res.HTTPResponse.Header.Get("Idempotency-Replayed"))
	require.Empty(t, res.HTTPResponse.Header.Get("Preference-Applied"))
	require.Equal(t, client.OrderStatusPending, placed.Status)
	require.Equal(t, client.PaymentStatusNone, placed.PaymentStatus)
	require.Equal(t, client.FulfilmentStatusNone, placed.FulfilmentStatus)
	require.Equal(t, client.Money{Amount: 2500, Currency: "EUR"}, placed.Total)
	require.NotContains(t, string(res.Body), "tok_visa")

	got, err := b.client.GetOrderWithResponse(t.Context(), placed.ID)
	require.NoError(t, err)
	require.Equal(t, placed, got.JSON200)
}

func TestARepetitionGetsTheStoredAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", ""), mugs())
	require.NoError(t, err)
	require.NoError(t, b.service.Confirm(b.operator, first.JSON202.ID))

	again, err := b.client.PlaceOrderWithResponse(t.Context(), params(`"k"`, ""), mugs())
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, again.StatusCode())
	require.Equal(t, "true", again.HTTPResponse.Header.Get("Idempotency-Replayed"))
	require.Equal(t, string(first.Body), string(again.Body))

	waited, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", "wait=10"), mugs())
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, waited.StatusCode(), "a repetition may wait, too")
	require.Equal(t, client.OrderStatusConfirmed, waited.JSON201.Status)
	require.Equal(t, "true", waited.HTTPResponse.Header.Get("Idempotency-Replayed"))

	other := mugs()
	other.CustomerID = "cus_2"
	refused, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", ""), other)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode())
	require.Equal(t, "idempotency_key_reused", refused.ApplicationProblemJSONDefault.Code)
}

func TestFiftyConcurrentRequestsWithOneKeyPlaceOneOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		placed = map[string]bool{}
	)
	for range 50 {
		wg.Go(func() {
			res, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", ""), mugs())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Errorf("place: %v", err)
			case res.JSON202 != nil:
				placed[res.JSON202.ID] = true
			case res.ApplicationProblemJSONDefault.Code != "idempotency_key_in_use":
				t.Errorf("place: %s", res.Body)
			}
		})
	}
	wg.Wait()
	require.Len(t, placed, 1)
	require.Equal(t, 1, b.count(t, "orders"))
}

func TestAWaitingClientGetsTheSettledOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	why := order.Reason{Code: "payment_declined", Message: "The payment was declined."}
	for status, settle := range map[client.OrderStatus]func(orderID string) error{
		client.OrderStatusConfirmed:      func(id string) error { return b.service.Confirm(b.operator, id) },
		client.OrderStatusFailed:         func(id string) error { return b.service.Close(b.operator, id, orders.Failed, why) },
		client.OrderStatusNeedsAttention: func(id string) error { return b.service.Park(b.operator, id, why) },
	} {
		key := id.New(id.Event)
		answered := make(chan *client.PlaceOrderHTTPResponse, 1)
		go func() {
			res, err := b.client.PlaceOrderWithResponse(t.Context(), params(key, "respond=x, wait=99"), mugs())
			if err != nil {
				t.Errorf("place: %v", err)
			}
			answered <- res
		}()
		orderID := b.waitForPending(t)
		require.NoError(t, settle(orderID))
		res := <-answered
		require.NotNil(t, res)
		require.Equal(t, http.StatusCreated, res.StatusCode(), "%s", res.Body)
		require.Equal(t, status, res.JSON201.Status)
		require.Equal(t, "wait=60", res.HTTPResponse.Header.Get("Preference-Applied"), "60 s at most")
		require.Equal(t, "/v1/orders/"+orderID, res.HTTPResponse.Header.Get("Location"))
		if status != client.OrderStatusConfirmed {
			require.Equal(t, &client.Reason{Code: why.Code, Message: why.Message}, res.JSON201.Reason)
		}
	}
}

// waitForPending returns the one order that is pending, once there is one.
func (b bundle) waitForPending(t *testing.T) string {
	t.Helper()
	pending := client.OrderStatusPending
	var orderID string
	require.Eventually(t, func() bool {
		res, err := b.client.ListOrdersWithResponse(t.Context(), &client.ListOrdersParams{Status: &pending})
		if err != nil || res.JSON200 == nil || len(res.JSON200.Items) != 1 {
			return false
		}
		orderID = res.JSON200.Items[0].ID
		return true
	}, 10*time.Second, time.Millisecond)
	return orderID
}

func TestAnOrderThatDoesNotSettleInTimeIsAnswered202(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", "wait=1"), mugs())
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, res.StatusCode())
	require.Equal(t, "wait=1", res.HTTPResponse.Header.Get("Preference-Applied"))

	async, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", "respond-async, wait=60"), mugs())
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, async.StatusCode())
	require.Empty(t, async.HTTPResponse.Header.Get("Preference-Applied"))
}

func TestAClientThatGoesAwayWhileWaitingHarmsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := b.client.PlaceOrderWithResponse(ctx, params("k", "wait=60"), mugs())
		answered <- err
	}()
	orderID := b.waitForPending(t)
	leave()
	require.ErrorIs(t, <-answered, context.Canceled)

	require.NoError(t, b.service.Confirm(b.operator, orderID))
	res, err := b.client.PlaceOrderWithResponse(t.Context(), params("k", "wait=60"), mugs())
	require.NoError(t, err)
	require.Equal(t, orderID, res.JSON201.ID)
}

func TestCancellingAPendingOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	reason := "ordered twice"
	body := client.Cancellation{Reason: &reason}
	first, err := b.client.CancelOrderWithResponse(t.Context(), placed.ID, cancelParams("c", ""), body)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, first.StatusCode(), "%s", first.Body)
	require.Equal(t, client.OrderStatusCancelling, first.JSON202.Status)

	replayed, err := b.client.CancelOrderWithResponse(t.Context(), placed.ID, cancelParams("c", ""), body)
	require.NoError(t, err)
	require.Equal(t, "true", replayed.HTTPResponse.Header.Get("Idempotency-Replayed"))
	require.Equal(t, string(first.Body), string(replayed.Body))

	twice, err := b.client.CancelOrderWithResponse(t.Context(), placed.ID, cancelParams("c2", ""), body)
	require.NoError(t, err)
	require.Equal(t, string(first.Body), string(twice.Body), "asked twice, answered the same")

	answered := make(chan *client.CancelOrderHTTPResponse, 1)
	go func() {
		res, err := b.client.CancelOrderWithResponse(t.Context(), placed.ID, cancelParams("c3", "wait=60"), body)
		if err != nil {
			t.Errorf("cancel: %v", err)
		}
		answered <- res
	}()
	require.NoError(t, b.service.Close(b.operator, placed.ID, orders.Cancelled,
		order.Reason{Code: "cancelled", Message: "As you asked."}))
	res := <-answered
	require.NotNil(t, res)
	require.Equal(t, http.StatusOK, res.StatusCode(), "%s", res.Body)
	require.Equal(t, client.OrderStatusCancelled, res.JSON200.Status)

	after, err := b.client.CancelOrderWithResponse(t.Context(), placed.ID, cancelParams("c4", ""), body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, after.StatusCode(), "a cancelled order stays so")
}

func TestCancellingASettledOrderIsRefusedWithItsState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	why := order.Reason{Code: "x", Message: "X."}
	for state, settle := range map[string]func(orderID string) error{
		"confirmed":       func(id string) error { return b.service.Confirm(b.operator, id) },
		"failed":          func(id string) error { return b.service.Close(b.operator, id, orders.Failed, why) },
		"needs_attention": func(id string) error { return b.service.Park(b.operator, id, why) },
	} {
		placed := b.place(t)
		require.NoError(t, settle(placed.ID))
		d := b.problem(t, request{method: http.MethodPost, path: "/v1/orders/" + placed.ID + "/cancel", body: "{}"})
		require.Equal(t, http.StatusConflict, d.Status)
		require.Equal(t, "order_not_cancellable", d.Code)
		require.Contains(t, d.Detail, state)
	}
}

func TestTheTimelineIsReadOldestFirstPageByPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	_, err := b.client.CancelOrderWithResponse(t.Context(), placed.ID, cancelParams("c", ""), client.Cancellation{})
	require.NoError(t, err)
	require.NoError(t, b.service.Confirm(b.operator, placed.ID))

	one := 1
	var types, ids []string
	p := client.ListOrderEventsParams{Limit: &one}
	for {
		res, err := b.client.ListOrderEventsWithResponse(t.Context(), placed.ID, &p)
		require.NoError(t, err)
		require.NotNil(t, res.JSON200, "%s", res.Body)
		require.Len(t, res.JSON200.Items, 1)
		types, ids = append(types, res.JSON200.Items[0].Type), append(ids, res.JSON200.Items[0].ID)
		if p.Cursor = res.JSON200.NextCursor; p.Cursor == nil {
			break
		}
	}
	require.Equal(t, []string{
		"order.placed", "order.cancel_requested", "order.cancellation_too_late", "order.confirmed",
	}, types)
	require.Equal(t, []string{"1", "2", "3", "4"}, ids)
}

func TestCallersListTheirOwnOrdersAndOperatorsAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := b.place(t, as("shop"))
	theirs := b.place(t, as("other"))
	list := func(p client.ListOrdersParams, editor client.RequestEditorFn) []string {
		res, err := b.client.ListOrdersWithResponse(t.Context(), &p, editor)
		require.NoError(t, err)
		require.NotNil(t, res.JSON200, "%s", res.Body)
		ids := []string{}
		for _, o := range res.JSON200.Items {
			ids = append(ids, o.ID)
		}
		return ids
	}
	shop, customer, nobody := "shop", "cus_1", "nobody"
	before, after := mine.PlacedAt, theirs.PlacedAt
	confirmed := client.OrderStatusConfirmed
	operator := as("ops", "orders:operate")

	require.Equal(t, []string{mine.ID}, list(client.ListOrdersParams{}, as("shop")))
	require.Equal(t, []string{mine.ID}, list(client.ListOrdersParams{Owner: &shop}, as("shop")))
	require.Equal(t, []string{theirs.ID, mine.ID}, list(client.ListOrdersParams{}, operator), "newest first")
	require.Equal(t, []string{mine.ID}, list(client.ListOrdersParams{Owner: &shop}, operator))
	require.Equal(t, []string{theirs.ID, mine.ID}, list(client.ListOrdersParams{CustomerID: &customer}, operator))
	require.Empty(t, list(client.ListOrdersParams{CustomerID: &nobody}, operator))
	require.Equal(t, []string{theirs.ID}, list(client.ListOrdersParams{PlacedAfter: &before}, operator), "exclusive")
	require.Equal(t, []string{mine.ID}, list(client.ListOrdersParams{PlacedBefore: &after}, operator), "exclusive")
	require.Empty(t, list(client.ListOrdersParams{Status: &confirmed}, operator))
	require.NoError(t, b.service.Confirm(b.operator, mine.ID))
	require.Equal(t, []string{mine.ID}, list(client.ListOrdersParams{Status: &confirmed}, operator))
}

// Whatever a client sends as an order, it is a client's failure or an order that can be read back; never ours.
func FuzzOrderDecoding(f *testing.F) {
	f.Add([]byte(goodBody))
	f.Add([]byte(`{"lines":[{"quantity":1e400}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var o httpapi.NewOrder
		if json.Unmarshal(raw, &o) != nil {
			return
		}
		asked := httpapi.Asked(o)
		if orders.Validate(asked) != nil {
			return
		}
		require.Len(t, asked.Lines, len(o.Lines))
		require.Equal(t, o.PaymentToken, asked.PaymentToken)
	})
}

func TestCancellingNeedsNoBodyAndTakesSeveralPreferLines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	res, err := b.client.CancelOrderWithBodyWithResponse(t.Context(), placed.ID, cancelParams("no-body", ""), "", nil,
		func(_ context.Context, r *http.Request) error {
			r.Header.Del("Content-Type")
			r.Header["Prefer"] = []string{"handling=lenient", "wait=1"}
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, res.StatusCode(), "%s", res.Body)
	require.Equal(t, client.OrderStatusCancelling, res.JSON202.Status)
	require.Equal(t, "wait=1", res.HTTPResponse.Header.Get("Preference-Applied"))
}
