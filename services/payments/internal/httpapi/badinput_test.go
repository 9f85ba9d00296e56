package httpapi_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/page"
)

func TestOnlyOperatorsMayDoAnything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay, _ := b.captured()
	before := b.stored()
	for _, r := range []request{
		{method: http.MethodGet, path: "/v1/payments"},
		{method: http.MethodGet, path: "/v1/payments/" + pay},
		{method: http.MethodPost, path: "/v1/payments/" + pay + "/refunds", body: `{"reason":"r"}`},
		{method: http.MethodGet, path: "/v1/fraud/settings"},
		{method: http.MethodPut, path: "/v1/fraud/settings", body: `{"limits":[],"maintenance":true}`},
		{method: http.MethodGet, path: "/v1/sandbox/outage"},
		{method: http.MethodPut, path: "/v1/sandbox/outage", body: `{"void":false}`},
		{method: http.MethodGet, path: "/v1/sandbox/charges"},
	} {
		r.header = map[string]string{"Orderflow-Scopes": "orders:read"}
		status, d := b.send(r)
		require.Equal(t, http.StatusForbidden, status, r.path)
		require.Equal(t, "scope_missing", d.Code)
	}
	require.Equal(t, before, b.stored())
}

func TestBadBodiesAreClientErrorsAndStoreNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay, _ := b.captured()
	const post, put = http.MethodPost, http.MethodPut
	refunds := "/v1/payments/" + pay + "/refunds"
	amount := func(v string) string { return `{"reason":"r","amount":` + v + `}` }
	limit := func(v string) string { return `{"maintenance":true,"limits":[` + v + `]}` }
	for _, o := range []struct {
		method, path, good string
		more               map[string]string
	}{
		{post, refunds, amount("1"), map[string]string{
			"zero": amount("0"), "negative": amount("-1"), "beyond the bound": amount("9007199254740992"),
			"overflow": amount("9223372036854775808"), "underflow": amount("-9223372036854775809"),
			"fraction": amount("1.5"), "integral": amount("1.0"), "exponent": amount("1e3"), "text": amount(`"1"`),
			"no reason": `{"amount":1}`, "empty reason": `{"reason":""}`, "NUL in reason": `{"reason":"\u0000"}`,
			"bad UTF-8 in reason": "{\"reason\":\"\xff\"}", "long reason": `{"reason":"` + strings.Repeat("x", 501) + `"}`,
			"more than captured": amount("2000"),
		}},
		{put, "/v1/fraud/settings", limit(""), map[string]string{
			"negative": limit(`{"amount":-1,"currency":"EUR"}`), "no currency": limit(`{"amount":1}`),
			"overflow":         limit(`{"amount":9223372036854775808,"currency":"EUR"}`),
			"beyond the bound": limit(`{"amount":9007199254740992,"currency":"EUR"}`),
			"unknown currency": limit(`{"amount":1,"currency":"ZZZ"}`),
			"small letters":    limit(`{"amount":1,"currency":"eur"}`), "nobody's": limit(`{"amount":1,"currency":"XXX"}`),
			"twice":     limit(`{"amount":1,"currency":"EUR"},{"amount":2,"currency":"EUR"}`),
			"misspelt":  limit(`{"amount":1,"currency":"EUR","colour":1}`),
			"no limits": `{"maintenance":true}`, "text": `{"limits":[],"maintenance":"true"}`,
			"too many": limit(strings.Repeat(`{"amount":1,"currency":"EUR"},`, 200) + `{"amount":1,"currency":"EUR"}`),
		}},
		{put, "/v1/sandbox/outage", `{"void":false}`, map[string]string{"text": `{"void":"no"}`, "number": `{"void":0}`}},
	} {
		bodies := map[string]string{
			"empty": "", "malformed": o.good[:len(o.good)-1], "two values": o.good + o.good, "null": "null", "array": "[]",
			"no fields": "{}", "unknown field": strings.Replace(o.good, "{", `{"colour":1,`, 1),
			"field twice": strings.Replace(o.good, "{", `{"reason":"a","reason":"b",`, 1),
			"bad UTF-8":   strings.Replace(o.good, "{", "{\"\xff\":1,", 1),
			"NUL":         strings.Replace(o.good, "{", `{"\u0000":1,`, 1),
			"10 MB":       o.good + strings.Repeat(" ", 10<<20), "deep": strings.Repeat("[", 10_000),
		}
		maps.Copy(bodies, o.more)
		before := b.stored()
		for name, body := range bodies {
			status, d := b.send(request{method: o.method, path: o.path, body: body})
			require.GreaterOrEqual(t, status, 400, "%s: %s", o.path, name)
			require.Less(t, status, 500, "%s: %s: %v", o.path, name, d)
			require.Equal(t, o.path, d.Instance)
		}
		require.Equal(t, before, b.stored(), o.path)
		status, d := b.send(request{method: o.method, path: o.path, body: o.good})
		require.Less(t, status, 300, "the good body is good: %v", d)
	}
}

func TestBadRequestsAreClientErrorsAndStoreNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay, _ := b.authorized("cus_1", "pm_card_visa")
	before := b.stored()
	const get, post = http.MethodGet, http.MethodPost
	long := strings.Repeat("x", 101)
	misfit := page.Encode(page.Position{Time: time.Now(), ID: "x"}, "another list")
	good := `{"reason":"r"}`
	for name, c := range map[string]struct {
		request
		status int
		code   string
	}{
		"limit 0":                 {request{method: get, path: "/v1/payments?limit=0"}, 422, "request_invalid"},
		"limit 101":               {request{method: get, path: "/v1/sandbox/charges?limit=101"}, 422, "request_invalid"},
		"limit x":                 {request{method: get, path: "/v1/payments?limit=x"}, 400, "request_malformed"},
		"limit beyond int64":      {request{method: get, path: "/v1/payments?limit=9223372036854775808"}, 400, "request_malformed"},
		"garbage cursor":          {request{method: get, path: "/v1/payments?cursor=garbage"}, 400, "cursor_malformed"},
		"another garbage cursor":  {request{method: get, path: "/v1/sandbox/charges?cursor=!"}, 400, "cursor_malformed"},
		"cursor of another list":  {request{method: get, path: "/v1/payments?cursor=" + misfit}, 422, "cursor_filter_mismatch"},
		"cursor of another list2": {request{method: get, path: "/v1/sandbox/charges?cursor=" + misfit}, 422, "cursor_filter_mismatch"},
		"unknown parameter":       {request{method: get, path: "/v1/payments?colour=red"}, 400, "request_malformed"},
		"unknown state":           {request{method: get, path: "/v1/payments?state=lost"}, 422, "request_invalid"},
		"empty filter":            {request{method: get, path: "/v1/payments?customer_id="}, 422, "request_invalid"},
		"long filter":             {request{method: get, path: "/v1/payments?order_id=" + long}, 422, "request_invalid"},
		"NUL in filter":           {request{method: get, path: "/v1/payments?order_id=a%00"}, 400, "nul_character"},
		"bad UTF-8 in filter":     {request{method: get, path: "/v1/sandbox/charges?order_id=%ff"}, 400, "query_malformed"},
		"no such payment":         {request{method: get, path: "/v1/payments/pay_1"}, 404, "payment_not_found"},
		"ill-formed id":           {request{method: get, path: "/v1/payments/%27;--"}, 404, "payment_not_found"},
		"NUL in id":               {request{method: get, path: "/v1/payments/a%00"}, 400, "nul_character"},
		"bad UTF-8 in id":         {request{method: get, path: "/v1/payments/%ff"}, 400, "path_malformed"},
		"long id":                 {request{method: get, path: "/v1/payments/" + long}, 422, "request_invalid"},
		"refund of nothing":       {request{method: post, path: "/v1/payments/pay_1/refunds", body: good}, 404, "payment_not_found"},
		"refund of NUL":           {request{method: post, path: "/v1/payments/a%00/refunds", body: good}, 400, "nul_character"},
		"refund of what is not captured": {
			request{method: post, path: "/v1/payments/" + pay + "/refunds", body: good}, 409, "payment_not_refundable",
		},
		"refund without key": {
			request{post, "/v1/payments/" + pay + "/refunds", good, map[string]string{"Idempotency-Key": ""}},
			400, "idempotency_key_missing",
		},
		"refund with a bad key": {
			request{post, "/v1/payments/" + pay + "/refunds", good, map[string]string{"Idempotency-Key": "ä"}},
			400, "idempotency_key_malformed",
		},
		"refund in words": {
			request{post, "/v1/payments/" + pay + "/refunds", good, map[string]string{"Content-Type": "text/plain"}},
			415, "media_type_unsupported",
		},
		"wrong method": {request{method: http.MethodDelete, path: "/v1/payments/" + pay}, 405, "method_not_allowed"},
		"no route":     {request{method: get, path: "/v1/nothing"}, 404, "route_not_found"},
	} {
		status, d := b.send(c.request)
		require.Equal(t, c.status, status, "%s: %+v", name, d)
		require.Equal(t, c.code, d.Code, name)
	}
	require.Equal(t, before, b.stored())
}
