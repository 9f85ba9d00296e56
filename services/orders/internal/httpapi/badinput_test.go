package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/services/orders/internal/httpapi"
)

const unknownID = "ord_019360c2-0000-7000-8000-000000000000"

func TestTheDocumentKeepsTheHouseStyle(t *testing.T) {
	t.Parallel()
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	openapitest.HouseStyle(t, spec)
}

func TestBadOrdersAreRefusedAndNotStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	line := `{"sku":"MUG-1","quantity":2,"unit_price":1250}`
	for name, c := range map[string]struct {
		body    string
		status  int
		code    string
		pointer string // of the first field, where it matters
	}{
		"empty":                    {"", 400, "body_missing", ""},
		"malformed":                {`{"customer_id":`, 400, "json_malformed", ""},
		"two values":               {goodBody + goodBody, 400, "json_malformed", ""},
		"deep":                     {strings.Repeat("[", 100_000), 400, "json_malformed", ""},
		"bad UTF-8":                {good("London", "Lond\xffn"), 400, "encoding_malformed", ""},
		"NUL":                      {good("London", `Lon\u0000don`), 400, "nul_character", "/shipping_address/city"},
		"10 MB":                    {good("London", strings.Repeat("x", 10<<20)), 413, "body_too_large", ""},
		"key twice":                {good(`"currency"`, `"currency":"USD","currency"`), 400, "json_duplicate_key", "/currency"},
		"unknown field":            {good(`"currency"`, `"colour":"red","currency"`), 400, "request_malformed", "/colour"},
		"status from outside":      {good(`"currency"`, `"status":"confirmed","currency"`), 400, "request_malformed", "/status"},
		"a line's own currency":    {good(`"sku"`, `"currency":"USD","sku"`), 400, "request_malformed", "/lines/0/currency"},
		"a list for an object":     {"[]", 400, "request_malformed", ""},
		"null":                     {"null", 400, "request_malformed", ""},
		"text for a number":        {good("1250", `"1250"`), 400, "request_malformed", "/lines/0/unit_price"},
		"a fraction":               {good("1250", "12.5"), 400, "", "/lines/0/unit_price"},
		"an exponent":              {good("1250", "1e3"), 400, "", "/lines/0/unit_price"},
		"beyond int64":             {good("1250", "9223372036854775808"), 0, "", "/lines/0/unit_price"},
		"missing customer":         {good(`"customer_id":"cus_1",`, ""), 422, "request_invalid", "/customer_id"},
		"missing address":          {good(`,"shipping_address"`, `,"x"`), 0, "", ""},
		"zero pieces":              {good(`"quantity":2`, `"quantity":0`), 422, "request_invalid", "/lines/0/quantity"},
		"negative pieces":          {good(`"quantity":2`, `"quantity":-2`), 422, "request_invalid", "/lines/0/quantity"},
		"too many pieces":          {good(`"quantity":2`, `"quantity":1000001`), 422, "request_invalid", "/lines/0/quantity"},
		"negative price":           {good("1250", "-1"), 422, "request_invalid", "/lines/0/unit_price"},
		"price beyond JSON":        {good("1250", "9007199254740992"), 422, "request_invalid", "/lines/0/unit_price"},
		"no lines":                 {good(line, ""), 422, "request_invalid", "/lines"},
		"101 lines":                {good(line, strings.Repeat(line+",", 100)+line), 422, "request_invalid", "/lines"},
		"small currency":           {good("EUR", "eur"), 422, "request_invalid", "/currency"},
		"long name":                {good("Ada", strings.Repeat("x", 201)), 422, "request_invalid", "/shipping_address/name"},
		"country in letters":       {good("GB", "GBR"), 422, "request_invalid", "/shipping_address/country"},
		"token with spaces":        {good("tok_visa", "tok visa"), 422, "request_invalid", "/payment_token"},
		"unknown currency":         {good("EUR", "ABC"), 422, "invalid_order", "/currency"},
		"an article in two lines":  {good(line, line+","+line), 422, "invalid_order", "/lines/1/sku"},
		"blank name":               {good("Ada", "  "), 422, "invalid_order", "/shipping_address/name"},
		"a total that overflows":   {good("1250", "9007199254740991"), 422, "invalid_order", "/lines"},
		"a total of nothing":       {good("1250", "0"), 422, "invalid_order", "/lines"},
		"a total beyond the int64": {good(`2,"unit_price":1250`, `1000000,"unit_price":9007199254740991`), 422, "invalid_order", "/lines"},
	} {
		d := b.problem(t, request{method: http.MethodPost, path: "/v1/orders", body: c.body})
		require.True(t, d.Status >= 400 && d.Status < 500, "%s: %d", name, d.Status)
		if c.status != 0 {
			require.Equal(t, c.status, d.Status, "%s: %+v", name, d)
		}
		if c.code != "" {
			require.Equal(t, c.code, d.Code, name)
		}
		if c.pointer != "" {
			require.NotEmpty(t, d.Errors, name)
			require.Equal(t, c.pointer, d.Errors[0].Pointer, name)
		}
	}
	for _, table := range []string{"orders", "order_events", "outbox", "idempotency_keys"} {
		require.Zero(t, b.count(t, table), table)
	}
}

func TestBadHeadersAreRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	stored := b.count(t, "order_events")
	for _, path := range []string{"/v1/orders", "/v1/orders/" + placed.ID + "/cancel"} {
		body := goodBody
		if path != "/v1/orders" {
			body = "{}"
		}
		for name, c := range map[string]struct {
			header map[string]string
			status int
			code   string
		}{
			"no key":       {map[string]string{"Idempotency-Key": ""}, 400, "idempotency_key_missing"},
			"long key":     {map[string]string{"Idempotency-Key": strings.Repeat("k", 300)}, 400, "idempotency_key_malformed"},
			"key not text": {map[string]string{"Idempotency-Key": "k\xff"}, 400, "idempotency_key_malformed"},
			"wrong media":  {map[string]string{"Content-Type": "text/plain"}, 415, "media_type_unsupported"},
			"bad caller":   {map[string]string{"Orderflow-Subject": "a b"}, 400, "caller_malformed"},
		} {
			d := b.problem(t, request{method: http.MethodPost, path: path, body: body, header: c.header})
			require.Equal(t, c.status, d.Status, "%s %s: %+v", path, name, d)
			require.Equal(t, c.code, d.Code, "%s %s", path, name)
		}
	}
	require.Equal(t, stored, b.count(t, "order_events"))
}

func TestBadCancellationsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	path := "/v1/orders/" + placed.ID + "/cancel"
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"malformed":     {path, "{", 400, "json_malformed"},
		"unknown field": {path, `{"why":"x"}`, 400, "request_malformed"},
		"wrong type":    {path, `{"reason":1}`, 400, "request_malformed"},
		"null":          {path, `{"reason":null}`, 400, "request_malformed"},
		"empty reason":  {path, `{"reason":""}`, 422, "request_invalid"},
		"long reason":   {path, `{"reason":"` + strings.Repeat("x", 501) + `"}`, 422, "request_invalid"},
		"bad UTF-8":     {path, "{\"reason\":\"\xff\"}", 400, "encoding_malformed"},
		"NUL":           {path, `{"reason":"\u0000"}`, 400, "nul_character"},
		"10 MB":         {path, `{"reason":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "body_too_large"},
		"unknown order": {"/v1/orders/" + unknownID + "/cancel", "{}", 404, "order_not_found"},
		"no id":         {"/v1/orders/nonsense/cancel", "{}", 404, "order_not_found"},
		"foreign id":    {"/v1/orders/" + strings.Replace(placed.ID, "ord_", "pay_", 1) + "/cancel", "{}", 404, "order_not_found"},
	} {
		d := b.problem(t, request{method: http.MethodPost, path: c.path, body: c.body})
		require.Equal(t, c.status, d.Status, "%s: %+v", name, d)
		require.Equal(t, c.code, d.Code, name)
	}
	d := b.problem(t, request{method: http.MethodPost, path: path, body: "{}", header: map[string]string{
		"Orderflow-Subject": "other", "Orderflow-Scopes": "orders:place",
	}})
	require.Equal(t, "order_not_found", d.Code, "another caller's order")

	got, err := b.client.GetOrderWithResponse(t.Context(), placed.ID)
	require.NoError(t, err)
	require.Equal(t, placed, *got.JSON200)
}

func TestBadReadsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	b.place(t)
	require.NoError(t, b.service.Confirm(b.operator, placed.ID))
	expired := aged(t, b.nextCursor(t, "/v1/orders?limit=1"))
	expiredEvents := aged(t, b.nextCursor(t, "/v1/orders/"+placed.ID+"/events?limit=1"))
	stranger := map[string]string{"Orderflow-Subject": "other", "Orderflow-Scopes": "orders:place"}

	for name, c := range map[string]struct {
		path   string
		header map[string]string
		status int
		code   string
	}{
		"unknown order":            {"/v1/orders/" + unknownID, nil, 404, "order_not_found"},
		"no id":                    {"/v1/orders/nonsense", nil, 404, "order_not_found"},
		"id in capitals":           {"/v1/orders/" + strings.ToUpper(placed.ID), nil, 404, "order_not_found"},
		"NUL in the id":            {"/v1/orders/ord_%00", nil, 400, ""},
		"bad UTF-8 in the id":      {"/v1/orders/ord_%ff", nil, 400, ""},
		"long id":                  {"/v1/orders/" + strings.Repeat("x", 500), nil, 0, ""},
		"another caller's order":   {"/v1/orders/" + placed.ID, stranger, 404, "order_not_found"},
		"unknown order's events":   {"/v1/orders/" + unknownID + "/events", nil, 404, "order_not_found"},
		"another caller's events":  {"/v1/orders/" + placed.ID + "/events", stranger, 404, "order_not_found"},
		"events: no cursor":        {"/v1/orders/" + placed.ID + "/events?cursor=nonsense", nil, 400, "cursor_malformed"},
		"events: expired cursor":   {"/v1/orders/" + placed.ID + "/events?cursor=" + expiredEvents, nil, 422, "cursor_expired"},
		"events: limit 0":          {"/v1/orders/" + placed.ID + "/events?limit=0", nil, 422, "request_invalid"},
		"list: limit 101":          {"/v1/orders?limit=101", nil, 422, "request_invalid"},
		"list: limit in words":     {"/v1/orders?limit=ten", nil, 400, ""},
		"list: limit beyond int64": {"/v1/orders?limit=99999999999999999999", nil, 0, ""},
		"list: no cursor":          {"/v1/orders?cursor=nonsense", nil, 400, "cursor_malformed"},
		"list: expired cursor":     {"/v1/orders?cursor=" + expired, nil, 422, "cursor_expired"},
		"list: unknown parameter":  {"/v1/orders?colour=red", nil, 400, ""},
		"list: unknown status":     {"/v1/orders?status=lost", nil, 422, "request_invalid"},
		"list: empty customer":     {"/v1/orders?customer_id=", nil, 0, ""},
		"list: no time":            {"/v1/orders?placed_after=yesterday", nil, 400, ""},
		"list: NUL":                {"/v1/orders?customer_id=%00", nil, 400, ""},
		"list: bad UTF-8":          {"/v1/orders?customer_id=%ff", nil, 400, ""},
		"list: another's orders":   {"/v1/orders?owner=development", stranger, 403, "foreign_owner"},
		"no such address":          {"/v1/order", nil, 404, "route_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := b.problem(t, request{method: http.MethodGet, path: c.path, header: c.header})
			require.True(t, d.Status >= 400 && d.Status < 500, "%d", d.Status)
			if c.status != 0 {
				require.Equal(t, c.status, d.Status, "%+v", d)
			}
			if c.code != "" {
				require.Equal(t, c.code, d.Code)
			}
		})
	}
	d := b.problem(t, request{method: http.MethodDelete, path: "/v1/orders/" + placed.ID})
	require.Equal(t, http.StatusMethodNotAllowed, d.Status)
}

func TestACursorServesTheListThatItCameFromOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(t)
	other := b.place(t)
	require.NoError(t, b.service.Confirm(b.operator, placed.ID))
	for _, cursor := range []string{
		b.nextCursor(t, "/v1/orders?limit=1"), b.nextCursor(t, "/v1/orders/"+placed.ID+"/events?limit=1"),
	} {
		for _, path := range []string{"/v1/orders?customer_id=cus_1&cursor=", "/v1/orders/" + other.ID + "/events?cursor="} {
			d := b.problem(t, request{method: http.MethodGet, path: path + cursor})
			require.Equal(t, "cursor_filter_mismatch", d.Code)
		}
	}
}

func (b bundle) nextCursor(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, nil)
	require.NoError(t, err)
	res, err := b.http.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	var page struct {
		Next string `json:"next_cursor"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&page))
	require.NotEmpty(t, page.Next)
	return page.Next
}

// aged returns the cursor as it would be if it had been made two days ago.
func aged(t *testing.T, cursor string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	var parts map[string]any
	require.NoError(t, json.Unmarshal(raw, &parts))
	parts["m"] = time.Now().Add(-48 * time.Hour).Unix()
	raw, err = json.Marshal(parts)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(raw)
}
