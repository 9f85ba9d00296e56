package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/page"
)

const (
	goodTo    = `{"name":"Ada","line1":"Street 1","city":"Berlin","postal_code":"10115","country":"DE"}`
	goodItems = `[{"sku":"TEA-1","quantity":2}]`
	goodQuote = `{"warehouse":"berlin","to":` + goodTo + `,"items":` + goodItems + `}`
	goodBook  = `{"order_id":"ord_1","fulfilment_id":"1","warehouse":"berlin","to":` + goodTo + `,"items":` + goodItems + `}`
)

// badBodies are mistakes that any body with an address and items can have.
func badBodies(good string) map[string]string {
	to := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	return map[string]string{
		"empty":               "",
		"malformed":           good[:len(good)-1],
		"two values":          good + good,
		"null":                "null",
		"an array":            "[]",
		"unknown field":       to(`{`, `{"colour":"red",`),
		"field twice":         to(`{`, `{"warehouse":"hamburg",`),
		"missing field":       to(`"warehouse":"berlin",`, ``),
		"wrong type":          to(`"berlin"`, `7`),
		"bad UTF-8":           to(`Ada`, "\xff"),
		"NUL":                 to(`Ada`, `\u0000`),
		"control character":   to(`Ada`, `A\u0007a`),
		"blank name":          to(`Ada`, ` `),
		"long name":           to(`Ada`, strings.Repeat("a", 201)),
		"unknown country":     to(`"DE"`, `"XX"`),
		"long country":        to(`"DE"`, `"DEU"`),
		"foreign postal code": to(`10115`, `SW1A 1AA`),
		"zero quantity":       to(`"quantity":2`, `"quantity":0`),
		"negative quantity":   to(`"quantity":2`, `"quantity":-1`),
		"too large quantity":  to(`"quantity":2`, `"quantity":1000001`),
		"overflowing":         to(`"quantity":2`, `"quantity":9223372036854775808`),
		"fraction":            to(`"quantity":2`, `"quantity":1.5`),
		"exponent":            to(`"quantity":2`, `"quantity":1e3`),
		"quantity as text":    to(`"quantity":2`, `"quantity":"2"`),
		"no items":            to(goodItems, `[]`),
		"same sku twice":      to(goodItems, `[{"sku":"A","quantity":1},{"sku":"A","quantity":1}]`),
		"bad sku":             to(`TEA-1`, `TEA 1`),
		"101 items":           to(goodItems, `[`+strings.Repeat(`{"sku":"A","quantity":1},`, 100)+`{"sku":"A","quantity":1}]`),
		"10 MB":               to(`Ada`, strings.Repeat("a", 10<<20)),
		"deep":                strings.Repeat("[", 1000),
	}
}

func TestBadInputIsAClientErrorAndStoresNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, patient)
	header := func(pairs ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"a-key"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	noKey := http.Header{"Content-Type": {"application/json"}}
	foreign := page.Encode(page.Position{Time: time.Now(), ID: "shp_1"}, "another list")
	type input struct {
		method, path, body string
		header             http.Header
	}
	cases := map[string]input{
		"book: no key":             {"POST", "/v1/shipments", goodBook, noKey},
		"book: empty key":          {"POST", "/v1/shipments", goodBook, header("Idempotency-Key", `""`)},
		"book: long key":           {"POST", "/v1/shipments", goodBook, header("Idempotency-Key", strings.Repeat("k", 300))},
		"book: text":               {"POST", "/v1/shipments", goodBook, header("Content-Type", "text/plain")},
		"book: bad order":          {"POST", "/v1/shipments", strings.Replace(goodBook, "ord_1", "../1", 1), header()},
		"book: no fulfilment":      {"POST", "/v1/shipments", strings.Replace(goodBook, `"1"`, `""`, 1), header()},
		"book: bad caller":         {"POST", "/v1/shipments", goodBook, header("Orderflow-Subject", "a b")},
		"cancel: no key":           {"POST", "/v1/shipments/shp_1/cancel", "", noKey},
		"cancel: unknown":          {"POST", "/v1/shipments/shp_1/cancel", "", header()},
		"cancel: ill-formed id":    {"POST", "/v1/shipments/%00/cancel", "", header()},
		"get: unknown":             {"GET", "/v1/shipments/shp_1", "", header()},
		"get: NUL":                 {"GET", "/v1/shipments/a%00b", "", header()},
		"get: bad UTF-8":           {"GET", "/v1/shipments/%ff", "", header()},
		"get: long":                {"GET", "/v1/shipments/" + strings.Repeat("a", 500), "", header()},
		"get: quote":               {"GET", "/v1/shipments/'%20or%201=1", "", header()},
		"list: limit 0":            {"GET", "/v1/shipments?limit=0", "", header()},
		"list: limit 101":          {"GET", "/v1/shipments?limit=101", "", header()},
		"list: limit text":         {"GET", "/v1/shipments?limit=ten", "", header()},
		"list: limit overflow":     {"GET", "/v1/shipments?limit=99999999999999999999", "", header()},
		"list: bad cursor":         {"GET", "/v1/shipments?cursor=nonsense", "", header()},
		"list: empty cursor":       {"GET", "/v1/shipments?cursor=", "", header()},
		"list: cursor of another":  {"GET", "/v1/shipments?cursor=" + foreign, "", header()},
		"list: unknown state":      {"GET", "/v1/shipments?state=refused", "", header()},
		"list: bad order":          {"GET", "/v1/shipments?order_id=" + url.QueryEscape("a b"), "", header()},
		"list: order with NUL":     {"GET", "/v1/shipments?order_id=a%00", "", header()},
		"list: unknown parameter":  {"GET", "/v1/shipments?colour=red", "", header()},
		"outage: empty":            {"PUT", "/v1/sandbox/outage", "", header()},
		"outage: malformed":        {"PUT", "/v1/sandbox/outage", "{", header()},
		"outage: missing field":    {"PUT", "/v1/sandbox/outage", "{}", header()},
		"outage: wrong type":       {"PUT", "/v1/sandbox/outage", `{"cancel":"no"}`, header()},
		"outage: null":             {"PUT", "/v1/sandbox/outage", `{"cancel":null}`, header()},
		"outage: unknown field":    {"PUT", "/v1/sandbox/outage", `{"cancel":true,"submit":true}`, header()},
		"outage: 10 MB":            {"PUT", "/v1/sandbox/outage", strings.Repeat(" ", 10<<20) + `{"cancel":true}`, header()},
		"bookings: no order":       {"GET", "/v1/sandbox/bookings", "", header()},
		"bookings: bad order":      {"GET", "/v1/sandbox/bookings?order_id=%00", "", header()},
		"unknown route":            {"GET", "/v1/parcels", "", header()},
		"unknown method":           {"DELETE", "/v1/shipments", "", header()},
		"unknown method of outage": {"POST", "/v1/sandbox/outage", `{"cancel":true}`, header()},
	}
	for name, body := range badBodies(goodQuote) {
		cases["quote: "+name] = input{"POST", "/v1/quotes", body, header()}
	}
	for name, body := range badBodies(goodBook) {
		cases["book: "+name] = input{"POST", "/v1/shipments", body, header()}
	}
	for name, c := range cases {
		status, problem := b.send(t, c.method, c.path, c.body, c.header)
		require.GreaterOrEqual(t, status, 400, name)
		require.Less(t, status, 500, name)
		require.Equal(t, status, problem.Status, name)
		require.NotEmpty(t, problem.Code, name)
	}
	require.Zero(t, b.stored(t))
	status, _ := b.send(t, "POST", "/v1/shipments", goodBook, header())
	require.Equal(t, http.StatusCreated, status, "what is good about all of these is good")
	status, _ = b.send(t, "POST", "/v1/quotes", goodQuote, header())
	require.Equal(t, http.StatusOK, status)
}

func TestCursorOfOtherFiltersSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t, patient)
	status, problem := b.send(t, "GET", "/v1/shipments?cursor="+
		page.Encode(page.Position{Time: time.Now(), ID: "shp_1"}, "shipments ord_1 "), "", http.Header{})
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Equal(t, "cursor_filter_mismatch", problem.Code)
}
