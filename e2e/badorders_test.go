package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/openapitest"
)

func TestAnOrderThatBreaksARuleIsRefusedAndLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	v := ordersVisitor(t)
	op := operation{service: "orders", method: http.MethodPost, path: "/v1/orders"}
	key := uuid.NewString()
	const maxAmount = "9007199254740991"
	for name, tc := range map[string]struct {
		old, bad string // what of a good order is replaced by what
		code     string
		pointer  string
	}{
		"no pieces":                {`"quantity":2`, `"quantity":0`, "request_invalid", "/lines/0/quantity"},
		"negative pieces":          {`"quantity":2`, `"quantity":-2`, "request_invalid", "/lines/0/quantity"},
		"more pieces than int64":   {`"quantity":2`, `"quantity":9223372036854775808`, "", "/lines/0/quantity"},
		"negative price":           {`1250`, `-1`, "request_invalid", "/lines/0/unit_price"},
		"price beyond int64":       {`1250`, `9223372036854775808`, "", "/lines/0/unit_price"},
		"price of cents":           {`1250`, `12.50`, "", "/lines/0/unit_price"},
		"total beyond the largest": {`1250`, maxAmount, "invalid_order", "/lines"},
		"total beyond int64":       {`2,"unit_price":1250`, `1000000,"unit_price":` + maxAmount, "invalid_order", "/lines"},
		"total of nothing":         {`1250`, `0`, "invalid_order", "/lines"},
		"article twice":            {`"lines":[`, `"lines":[{"sku":"MUG","quantity":1,"unit_price":1},`, "invalid_order", "/lines/1/sku"},
		"unknown currency":         {`"EUR"`, `"ABC"`, "invalid_order", "/currency"},
		"currency of a line":       {`"sku"`, `"currency":"USD","sku"`, "request_malformed", "/lines/0/currency"},
		"field twice":              {`"currency"`, `"currency":"USD","currency"`, "json_duplicate_key", "/currency"},
		"status from outside":      {`"currency"`, `"status":"confirmed","currency"`, "request_malformed", "/status"},
		"no lines":                 {`{"sku":"MUG","quantity":2,"unit_price":1250}`, ``, "request_invalid", "/lines"},
		"blank name":               {`"Grace Hopper"`, `"  "`, "invalid_order", "/shipping_address/name"},
	} {
		body := strings.Replace(goodOrder, tc.old, tc.bad, 1)
		require.NotEqual(t, goodOrder, body, name)
		v.refuses(op, defect{name, posting("/v1/orders", key, body), 0, tc.code, tc.pointer})
	}
	status, _, body := v.send(posting("/v1/orders", key, goodOrder))
	require.Equal(t, http.StatusAccepted, status, "the key was used up by bad calls: %s", body)
	p := v.problem(posting("/v1/orders", key, strings.Replace(goodOrder, "1250", "1251", 1)))
	require.Equal(t, "422 idempotency_key_reused", statusAndCode(p))
}

const goodOrder = `{"customer_id":"e2e","currency":"EUR","payment_token":"pm_card_visa",` +
	`"lines":[{"sku":"MUG","quantity":2,"unit_price":1250}],"shipping_address":{"name":"Grace Hopper",` +
	`"line1":"Invalidenstr. 116","city":"Berlin","postal_code":"10115","country":"DE"}}`

func ordersVisitor(t *testing.T) visitor {
	t.Helper()
	return visitor{t: t, service: "orders", client: http.Client{
		Transport: openapitest.Transport(t, documents(t)["orders"], nil), Timeout: time.Minute,
	}}
}

func getting(path string) request {
	path, query, _ := strings.Cut(path, "?")
	return request{method: http.MethodGet, path: path, query: query, header: http.Header{}}
}

func posting(path, key, body string) request {
	return request{method: http.MethodPost, path: path, body: []byte(body), header: http.Header{
		"Content-Type": {"application/json"}, "Idempotency-Key": {key},
	}}
}

func TestAnotherCallersOrderDoesNotExist(t *testing.T) {
	t.Parallel()
	v := ordersVisitor(t)
	_, _, body := v.send(posting("/v1/orders", uuid.NewString(), goodOrder).with("Orderflow-Subject", "ada"))
	var order struct{ ID string }
	require.NoError(t, json.Unmarshal(body, &order))
	own := getting("/v1/orders/"+order.ID).with("Orderflow-Subject", "ada").with("Orderflow-Scopes", "orders:read")
	status, _, body := v.send(own)
	require.Equal(t, http.StatusOK, status, "%s", body)

	for _, r := range []request{
		getting("/v1/orders/" + order.ID),
		getting("/v1/orders/" + order.ID + "/events"),
		posting("/v1/orders/"+order.ID+"/cancel", uuid.NewString(), "{}"),
	} {
		p := v.problem(r.with("Orderflow-Subject", "other").with("Orderflow-Scopes", "orders:read"))
		require.Equal(t, "404 order_not_found", statusAndCode(p), "%s %s", r.method, r.path)
	}
	status, _, body = v.send(getting("/v1/orders?limit=100").with("Orderflow-Subject", "other").with("Orderflow-Scopes", "orders:read"))
	require.Equal(t, http.StatusOK, status, "%s", body)
	require.NotContains(t, string(body), order.ID)
	p := v.problem(getting("/v1/orders?owner=ada").with("Orderflow-Subject", "other").with("Orderflow-Scopes", "orders:read"))
	require.Equal(t, "403 foreign_owner", statusAndCode(p))
}

func TestACursorEndsAfterADayAndBelongsToItsFilters(t *testing.T) {
	t.Parallel()
	v := ordersVisitor(t)
	for range 2 {
		status, _, body := v.send(posting("/v1/orders", uuid.NewString(), goodOrder).with("Orderflow-Subject", "cursor"))
		require.Equal(t, http.StatusAccepted, status, "%s", body)
	}
	_, _, body := v.send(getting("/v1/orders?limit=1&owner=cursor"))
	var page struct {
		Next string `json:"next_cursor"`
	}
	require.NoError(t, json.Unmarshal(body, &page))
	require.NotEmpty(t, page.Next)
	status, _, _ := v.send(getting("/v1/orders?owner=cursor&cursor=" + page.Next))
	require.Equal(t, http.StatusOK, status)

	p := v.problem(getting("/v1/orders?owner=other&cursor=" + page.Next))
	require.Equal(t, "422 cursor_filter_mismatch", statusAndCode(p))

	// What a cursor looks like is nobody's business, but a test cannot wait for a day.
	raw, err := base64.RawURLEncoding.DecodeString(page.Next)
	require.NoError(t, err)
	inside := map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &inside))
	inside["m"] = time.Now().Add(-25 * time.Hour).Unix()
	old := base64.RawURLEncoding.EncodeToString(encode(t, inside))
	p = v.problem(getting("/v1/orders?owner=cursor&cursor=" + url.QueryEscape(old)))
	require.Equal(t, "422 cursor_expired", statusAndCode(p))
}
