package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/services/inventory/client"
)

const goodAdjustment = `{"delta":1,"reason":"counted"}`

// badBodies are what no operation with a body takes; good is one that it takes.
func badBodies(good, field string) map[string]string {
	with := func(value string) string {
		_, rest, _ := strings.Cut(good, `"`+field+`":1`)
		return `{"` + field + `":` + value + rest
	}
	return map[string]string{
		"empty":            "",
		"malformed":        good[:len(good)-1],
		"two values":       good + good,
		"null":             "null",
		"an array":         "[]",
		"no fields":        "{}",
		"unknown field":    strings.Replace(good, "{", `{"colour":1,`, 1),
		"field twice":      strings.Replace(good, "{", `{"`+field+`":2,`, 1),
		"null value":       with("null"),
		"text":             with(`"1"`),
		"truth":            with("true"),
		"fraction":         with("1.5"),
		"integral":         with("1.0"),
		"exponent":         with("1e3"),
		"beyond the bound": with("1000000000001"),
		"far below":        with("-1000000000001"),
		"overflow":         with("9223372036854775808"),
		"underflow":        with("-9223372036854775809"),
		"bad UTF-8":        with("1,\"\xff\":1"),
		"NUL":              with(`1,"\u0000":1`),
		"10 MB":            with("1" + strings.Repeat(" ", 10<<20)),
		"deep":             strings.Repeat("[", 10_000),
	}
}

func TestBadBodiesAreClientErrorsAndStoreNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 5")
	operations := []struct {
		method, path, good, field string
		more                      map[string]string
	}{
		{http.MethodPut, "/v1/stock/MUG/BER", `{"on_hand":1}`, "on_hand", map[string]string{
			"negative": `{"on_hand":-1}`, "empty reason": `{"on_hand":1,"reason":""}`,
			"long reason": `{"on_hand":1,"reason":"` + strings.Repeat("x", 201) + `"}`,
		}},
		{http.MethodPost, "/v1/stock/MUG/BER/adjustments", goodAdjustment, "delta", map[string]string{
			"zero": `{"delta":0,"reason":"x"}`, "no reason": `{"delta":1}`, "empty reason": `{"delta":1,"reason":""}`,
			"NUL in reason": `{"delta":1,"reason":"\u0000"}`, "bad UTF-8 in reason": "{\"delta\":1,\"reason\":\"\xff\"}",
			"long reason": `{"delta":1,"reason":"` + strings.Repeat("x", 201) + `"}`, "below zero": `{"delta":-6,"reason":"x"}`,
		}},
		{http.MethodPut, "/v1/warehouses/BER", `{"priority":1}`, "priority", map[string]string{
			"zero": `{"priority":0}`, "negative": `{"priority":-1}`, "too large": `{"priority":1001}`,
			"beyond int32": `{"priority":2147483648}`,
		}},
	}
	before := b.stored()
	for _, o := range operations {
		bodies := badBodies(o.good, o.field)
		for name, body := range o.more {
			bodies[name] = body
		}
		for name, body := range bodies {
			res, d := b.send(request{method: o.method, path: o.path, body: body})
			require.GreaterOrEqual(t, res.StatusCode, 400, "%s %s: %s", o.method, o.path, name)
			require.Less(t, res.StatusCode, 500, "%s %s: %s: %v", o.method, o.path, name, d)
			require.Equal(t, o.path, d.Instance)
		}
	}
	require.Equal(t, before, b.stored())
}

func TestBadRequestsAreClientErrorsAndStoreNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 5", "PEN BER 5")
	one := 1
	listed, err := b.ListStockWithResponse(t.Context(), &client.ListStockParams{Limit: &one})
	require.NoError(t, err)
	cursor := *listed.JSON200.NextCursor
	expired := "eyJ2IjoxLCJ0IjoiMTk3MC0wMS0wMVQwMDowMDowMFoiLCJpIjoiTVVHL0JFUiIsImYiOm51bGwsIm0iOjF9"
	misfit := page.Encode(page.Position{Time: time.Now(), ID: "x"}, "another list")

	const put, post = http.MethodPut, http.MethodPost
	list := func(path string) request { return request{method: http.MethodGet, path: path} }
	change := func(method, path, body string) request { return request{method: method, path: path, body: body} }
	long := strings.Repeat("x", 101)
	csv := map[string]string{"Content-Type": "text/csv"}
	const header = "sku,warehouse,on_hand\n"
	cases := map[string]struct {
		request
		status int
		code   string
	}{
		"limit 0":              {list("/v1/stock?limit=0"), 422, "request_invalid"},
		"limit 101":            {list("/v1/reservations?limit=101"), 422, "request_invalid"},
		"limit x":              {list("/v1/warehouses?limit=x"), 400, "request_malformed"},
		"garbage cursor":       {list("/v1/stock?cursor=garbage"), 400, "cursor_malformed"},
		"garbage cursor, too":  {list("/v1/reservations?cursor=!"), 400, "cursor_malformed"},
		"and again":            {list("/v1/warehouses?cursor=%20"), 400, "cursor_malformed"},
		"expired cursor":       {list("/v1/stock?cursor=" + expired), 422, "cursor_expired"},
		"cursor of another":    {list("/v1/reservations?cursor=" + cursor), 422, "cursor_filter_mismatch"},
		"cursor, other filter": {list("/v1/stock?sku=MUG&cursor=" + cursor), 422, "cursor_filter_mismatch"},
		"misfit cursor":        {list("/v1/warehouses?cursor=" + misfit), 422, "cursor_filter_mismatch"},
		"unknown parameter":    {list("/v1/stock?colour=red"), 400, "request_malformed"},
		"bad SKU filter":       {list("/v1/stock?sku=A%20B"), 422, "request_invalid"},
		"empty filter":         {list("/v1/stock?warehouse="), 422, "request_invalid"},
		"NUL in filter":        {list("/v1/reservations?order_id=a%00"), 400, "nul_character"},
		"bad UTF-8 in filter":  {list("/v1/reservations?order_id=%ff"), 400, "query_malformed"},
		"unknown state":        {list("/v1/reservations?state=lost"), 422, "request_invalid"},
		"long order":           {list("/v1/reservations?order_id=" + long), 422, "request_invalid"},
		"no such reservation":  {list("/v1/reservations/rsv_1"), 404, "reservation_not_found"},
		"ill-formed id":        {list("/v1/reservations/%27;--"), 404, "reservation_not_found"},
		"NUL in id":            {list("/v1/reservations/a%00"), 400, "nul_character"},
		"bad UTF-8 in id":      {list("/v1/reservations/%ff"), 400, "path_malformed"},
		"long id":              {list("/v1/reservations/" + long), 422, "request_invalid"},
		"bad SKU":              {list("/v1/stock/A%20B"), 422, "request_invalid"},
		"NUL in SKU":           {list("/v1/stock/A%00"), 400, "nul_character"},
		"unknown SKU":          {list("/v1/stock/NIL"), 404, "unknown_sku"},
		"bad SKU to set":       {change(put, "/v1/stock/-A/BER", `{"on_hand":1}`), 422, "request_invalid"},
		"bad warehouse to set": {change(put, "/v1/stock/A/"+long, `{"on_hand":1}`), 422, "request_invalid"},
		"bad warehouse to put": {change(put, "/v1/warehouses/B%20R", `{"priority":1}`), 422, "request_invalid"},
		"adjust unknown":       {change(post, "/v1/stock/NIL/BER/adjustments", goodAdjustment), 404, "stock_not_found"},
		"adjust elsewhere":     {change(post, "/v1/stock/MUG/NIL/adjustments", goodAdjustment), 404, "stock_not_found"},
		"adjust without key": {
			request{post, "/v1/stock/MUG/BER/adjustments", goodAdjustment, map[string]string{"Idempotency-Key": ""}},
			400, "idempotency_key_missing",
		},
		"adjust with a bad key": {
			request{post, "/v1/stock/MUG/BER/adjustments", goodAdjustment, map[string]string{"Idempotency-Key": "a b"}},
			400, "idempotency_key_malformed",
		},
		"adjust by form": {
			request{post, "/v1/stock/MUG/BER/adjustments", "a=b", map[string]string{"Content-Type": "text/plain"}},
			415, "media_type_unsupported",
		},
		"wrong method":       {request{method: http.MethodDelete, path: "/v1/stock"}, 405, "method_not_allowed"},
		"no such route":      {list("/v1/stocks"), 404, "route_not_found"},
		"import JSON":        {change(put, "/v1/stock", "{}"), 415, "media_type_unsupported"},
		"import nothing":     {request{put, "/v1/stock", "", csv}, 400, "body_missing"},
		"import no lines":    {request{put, "/v1/stock", header, csv}, 422, "invalid_import"},
		"import no header":   {request{put, "/v1/stock", "A,BER,1\n", csv}, 422, "invalid_import"},
		"import bad UTF-8":   {request{put, "/v1/stock", header + "\xff,BER,1\n", csv}, 422, "invalid_import"},
		"import NUL":         {request{put, "/v1/stock", header + "A\x00,BER,1\n", csv}, 422, "invalid_import"},
		"import overflow":    {request{put, "/v1/stock", header + "A,BER,9223372036854775808\n", csv}, 422, "invalid_import"},
		"import duplicates":  {request{put, "/v1/stock", header + "A,BER,1\nA,BER,1\n", csv}, 422, "invalid_import"},
		"import a long line": {request{put, "/v1/stock", header + strings.Repeat("x", 10<<20), csv}, 422, "invalid_import"},
		"import too much":    {request{put, "/v1/stock", header + strings.Repeat("\n", 64<<20), csv}, 413, "body_too_large"},
	}
	before := b.stored()
	for name, c := range cases {
		res, d := b.send(c.request)
		require.Equal(t, c.status, res.StatusCode, "%s: %v", name, d)
		require.Equal(t, c.code, d.Code, name)
	}
	require.Equal(t, before, b.stored())
}

func TestAnImportOverHTTPNamesItsWrongLines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, d := b.send(request{
		http.MethodPut, "/v1/stock", "sku,warehouse,on_hand\nA,BER,1\nA,BER\nB,BER,-1\nA,BER,2\n",
		map[string]string{"Content-Type": "text/csv"},
	})
	require.Equal(t, 422, d.Status)
	require.Equal(t, "Nothing was imported, because 3 lines are wrong.", d.Detail)
	var got []string
	for _, f := range d.Errors {
		got = append(got, f.Pointer+" "+f.Code)
	}
	require.Equal(t, []string{"/lines/3 column_count", "/lines/4 negative", "/lines/5 duplicate"}, got)
	require.Equal(t, "0 0 0", b.stored())
}
