package httpserver_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestBadBodiesAreRefusedBeforeTheHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		body    io.Reader
		status  int
		code    string
		pointer string // of the first field
		field   string // its code
	}{
		"empty":                 {text(""), 400, "body_missing", "", ""},
		"only space":            {text("  \n"), 400, "json_malformed", "", ""},
		"malformed":             {text(`{"customer_id":`), 400, "json_malformed", "", ""},
		"not quoted":            {text(`{customer_id:"x"}`), 400, "json_malformed", "", ""},
		"trailing comma":        {good(`"quantity":1}`, `"quantity":1,}`), 400, "json_malformed", "", ""},
		"NaN":                   {good(`"amount":100`, `"amount":NaN`), 400, "json_malformed", "", ""},
		"trailing garbage":      {text(goodWidget + "x"), 400, "json_malformed", "", ""},
		"two values":            {text(goodWidget + goodWidget), 400, "json_malformed", "", ""},
		"deep arrays":           {text(strings.Repeat("[", 100_000)), 400, "json_malformed", "", ""},
		"deep objects":          {text(strings.Repeat(`{"a":`, 100_000)), 400, "json_malformed", "", ""},
		"deep and closed":       {text(strings.Repeat("[", 50) + strings.Repeat("]", 50)), 400, "json_malformed", "", ""},
		"bad UTF-8 in a value":  {good("c1", "c\xff"), 400, "encoding_malformed", "", ""},
		"bad UTF-8 in a key":    {good("customer_id", "customer\xc3_id"), 400, "encoding_malformed", "", ""},
		"overlong UTF-8":        {good("c1", "\xc0\xaf"), 400, "encoding_malformed", "", ""},
		"UTF-16":                {text("\xff\xfe{\x00}\x00"), 400, "encoding_malformed", "", ""},
		"NUL escape in a value": {good("c1", `c\u0000`), 400, "nul_character", "/customer_id", "nul_character"},
		"NUL escape in a key":   {good(`"parts"`, `"labels":{"\u0000":"x"},"parts"`), 400, "nul_character", "/labels/\x00", ""},
		"raw NUL":               {good("c1", "c\x00"), 400, "json_malformed", "", ""},
		"duplicate key":         {good(`"parts"`, `"customer_id":"c2","parts"`), 400, "json_duplicate_key", "/customer_id", "duplicate"},
		"duplicate, escaped":    {good(`"parts"`, `"customer\u005fid":"c2","parts"`), 400, "json_duplicate_key", "/customer_id", ""},
		"duplicate, nested":     {good(`"quantity":1`, `"quantity":1,"quantity":2`), 400, "json_duplicate_key", "/parts/0/quantity", ""},
		"unknown field":         {good(`"parts"`, `"colr":"red","parts"`), 400, "request_malformed", "/colr", "unknown_field"},
		"unknown nested field":  {good(`"sku"`, `"a/b~":1,"sku"`), 400, "request_malformed", "/parts/0/a~1b~0", "unknown_field"},
		"field in capitals":     {good(`"customer_id"`, `"Customer_ID"`), 400, "request_malformed", "/Customer_ID", "unknown_field"},
		"endless field name":    {good(`"parts"`, `"`+strings.Repeat("x", 10_000)+`":1,"parts"`), 400, "request_malformed", "", "unknown_field"},
		"array for object":      {text("[]"), 400, "request_malformed", "", "wrong_type"},
		"null for object":       {text("null"), 400, "request_malformed", "", "null"},
		"number for text":       {good(`"c1"`, "1"), 400, "request_malformed", "/customer_id", "wrong_type"},
		"text for number":       {good("100", `"100"`), 400, "request_malformed", "/price/amount", "wrong_type"},
		"bool for number":       {good("100", "true"), 400, "request_malformed", "/price/amount", "wrong_type"},
		"object for list":       {good(`[{"sku":"a","quantity":1}]`, "{}"), 400, "request_malformed", "/parts", "wrong_type"},
		"null for required":     {good(`"c1"`, "null"), 400, "request_malformed", "/customer_id", "null"},
		"null item":             {good(`{"sku":"a","quantity":1}`, "null"), 400, "request_malformed", "/parts/0", "null"},
		"null for optional":     {good(`"parts"`, `"colour":null,"parts"`), 400, "request_malformed", "/colour", ""},
		"missing required":      {good(`"customer_id":"c1",`, ""), 422, "request_invalid", "/customer_id", "required"},
		"empty text":            {good(`"c1"`, `""`), 422, "request_invalid", "/customer_id", "too_short"},
		"long text":             {good("c1", strings.Repeat("x", 101)), 422, "request_invalid", "/customer_id", "too_long"},
		"bad enum":              {good(`"parts"`, `"colour":"blue","parts"`), 422, "request_invalid", "/colour", "unknown_value"},
		"bad pattern":           {good("EUR", "eur"), 422, "request_invalid", "/price/currency", "pattern"},
		"bad time":              {good(`"parts"`, `"wanted_by":"2026-02-30T00:00:00Z","parts"`), 400, "request_malformed", "/wanted_by", "format"},
		"almost a time":         {good(`"parts"`, `"wanted_by":"2026-02-20T1:00:00,5Z","parts"`), 400, "request_malformed", "/wanted_by", "format"},
		"no items":              {good(`[{"sku":"a","quantity":1}]`, "[]"), 422, "request_invalid", "/parts", "too_few"},
		"too many items": {
			good(`[{`, `[`+strings.Repeat(`{"sku":"a","quantity":1},`, 100)+"{"), 422, "request_invalid", "/parts", "too_many",
		},
		"zero":               {good(`"quantity":1`, `"quantity":0`), 422, "request_invalid", "/parts/0/quantity", "out_of_range"},
		"minus zero":         {good(`"quantity":1`, `"quantity":-0`), 422, "request_invalid", "/parts/0/quantity", "out_of_range"},
		"negative":           {good("100", "-1"), 422, "request_invalid", "/price/amount", "out_of_range"},
		"above maximum":      {good(`"quantity":1`, `"quantity":1000001`), 422, "request_invalid", "/parts/0/quantity", "out_of_range"},
		"fraction":           {good("100", "1.5"), 400, "request_malformed", "/price/amount", "wrong_type"},
		"integral fraction":  {good("100", "1.0"), 400, "request_malformed", "/price/amount", "wrong_type"},
		"exponent":           {good("100", "1e3"), 400, "request_malformed", "/price/amount", "wrong_type"},
		"beyond float":       {good("100", "1e400"), 400, "request_malformed", "/price/amount", "wrong_type"},
		"beyond int64":       {good("100", "9223372036854775808"), 400, "request_malformed", "/price/amount", "out_of_range"},
		"below int64":        {good("100", "-9223372036854775809"), 400, "request_malformed", "/price/amount", "out_of_range"},
		"thousands of 9s":    {good("100", strings.Repeat("9", 5000)), 400, "request_malformed", "/price/amount", "out_of_range"},
		"beyond int64, free": {good(`"quantity":1`, `"quantity":9223372036854775808`), 400, "request_malformed", "/parts/0/quantity", ""},
		"beyond int32":       {good(`"quantity":1`, `"quantity":1,"grams":2147483648`), 400, "request_malformed", "/parts/0/grams", "out_of_range"},
		"leading zero":       {good("100", "0100"), 400, "json_malformed", "", ""},
		"hexadecimal":        {good("100", "0x10"), 400, "json_malformed", "", ""},
		"bad label":          {good(`"parts"`, `"labels":{"a":1},"parts"`), 400, "request_malformed", "/labels/a", "wrong_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := b.server.reached()
			_, d := b.problem(t, request{body: c.body})
			require.Equal(t, c.status, d.Status, d)
			require.Equal(t, c.code, d.Code, d)
			require.Equal(t, "/v1/widgets", d.Instance)
			if c.pointer != "" {
				require.NotEmpty(t, d.Errors)
				require.Equal(t, c.pointer, d.Errors[0].Pointer)
			}
			if c.field != "" {
				require.Equal(t, c.field, d.Errors[0].Code, d)
			}
			for _, f := range d.Errors {
				require.Regexp(t, `^[A-Z][^\n]{1,200}\.$`, f.Message, "one clean sentence")
				require.Less(t, len(f.Pointer), 200)
			}
			require.Zero(t, b.server.reached()-before)
		})
	}
}

func TestBadRequestsAreRefusedBeforeTheHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const get = http.MethodGet
	for name, c := range map[string]struct {
		request request
		status  int
		code    string
		pointer string
	}{
		"10 MB":               {request{body: io.LimitReader(zeros{}, 10<<20)}, 413, "body_too_large", ""},
		"wrong content type":  {request{body: text("a=b"), header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, "media_type_unsupported", ""},
		"broken content type": {request{body: text("{}"), header: map[string]string{"Content-Type": "application/json; charset"}}, 415, "media_type_unsupported", ""},
		"compressed": {
			request{body: text("x"), header: map[string]string{"Content-Encoding": "gzip"}}, 415, "media_type_unsupported", "",
		},
		"no content type":       {request{body: text("{}"), header: map[string]string{"Content-Type": ""}}, 415, "media_type_unsupported", ""},
		"JSON for CSV":          {request{body: text("{}"), target: "/v1/widgets/import"}, 415, "media_type_unsupported", ""},
		"body for GET":          {request{method: get, body: text("{}")}, 400, "body_unexpected", ""},
		"unknown route":         {request{method: get, target: "/v2/widgets"}, 404, "route_not_found", ""},
		"unknown route, POST":   {request{target: "/nothing", body: io.LimitReader(zeros{}, 10<<20)}, 404, "route_not_found", ""},
		"unknown parameter":     {request{method: get, target: "/v1/widgets?page=2"}, 400, "request_malformed", "query/page"},
		"unknown on POST":       {request{target: "/v1/widgets?x=1", body: text(goodWidget)}, 400, "request_malformed", "query/x"},
		"bad cursor":            {request{method: get, target: "/v1/widgets?cursor=abc"}, 400, "cursor_malformed", ""},
		"empty cursor":          {request{method: get, target: "/v1/widgets?cursor="}, 422, "request_invalid", "query/cursor"},
		"limit 0":               {request{method: get, target: "/v1/widgets?limit=0"}, 422, "request_invalid", "query/limit"},
		"limit 101":             {request{method: get, target: "/v1/widgets?limit=101"}, 422, "request_invalid", "query/limit"},
		"limit abc":             {request{method: get, target: "/v1/widgets?limit=abc"}, 400, "request_malformed", "query/limit"},
		"limit empty":           {request{method: get, target: "/v1/widgets?limit="}, 400, "request_malformed", "query/limit"},
		"limit 1.0":             {request{method: get, target: "/v1/widgets?limit=1.0"}, 400, "request_malformed", "query/limit"},
		"limit 1e1":             {request{method: get, target: "/v1/widgets?limit=1e1"}, 400, "request_malformed", "query/limit"},
		"limit overflow":        {request{method: get, target: "/v1/widgets?limit=9223372036854775808"}, 400, "request_malformed", "query/limit"},
		"limit twice":           {request{method: get, target: "/v1/widgets?limit=1&limit=2"}, 400, "request_malformed", "query/limit"},
		"bad time":              {request{method: get, target: "/v1/widgets?created_after=yesterday"}, 400, "request_malformed", "query/created_after"},
		"date for time":         {request{method: get, target: "/v1/widgets?created_after=2026-01-01"}, 400, "request_malformed", "query/created_after"},
		"NUL in query":          {request{method: get, target: "/v1/widgets?customer_id=a%00"}, 400, "nul_character", ""},
		"NUL in query name":     {request{method: get, target: "/v1/widgets?a%00=1"}, 400, "nul_character", ""},
		"bad UTF-8 in query":    {request{method: get, target: "/v1/widgets?customer_id=%ff"}, 400, "query_malformed", ""},
		"bad escape in query":   {request{method: get, target: "/v1/widgets?customer_id=%zz"}, 400, "query_malformed", ""},
		"semicolon in query":    {request{method: get, target: "/v1/widgets?limit=1;limit=2"}, 400, "query_malformed", ""},
		"NUL in path":           {request{method: get, target: "/v1/widgets/a%00"}, 400, "nul_character", ""},
		"bad UTF-8 in path":     {request{method: get, target: "/v1/widgets/%ff"}, 400, "path_malformed", ""},
		"bad UTF-8 off route":   {request{method: get, target: "/%ff/%00"}, 400, "path_malformed", ""},
		"long path parameter":   {request{method: get, target: "/v1/widgets/" + strings.Repeat("x", 101)}, 422, "request_invalid", "path/id"},
		"no key":                {request{body: text(goodWidget), header: map[string]string{"Idempotency-Key": ""}}, 400, "idempotency_key_missing", "header/Idempotency-Key"},
		"huge key":              {request{body: text(goodWidget), header: map[string]string{"Idempotency-Key": strings.Repeat("k", 10_000)}}, 400, "idempotency_key_malformed", "header/Idempotency-Key"},
		"key of spaces":         {request{body: text(goodWidget), header: map[string]string{"Idempotency-Key": "a b"}}, 400, "idempotency_key_malformed", ""},
		"empty quoted key":      {request{body: text(goodWidget), header: map[string]string{"Idempotency-Key": `""`}}, 400, "idempotency_key_malformed", ""},
		"key that is not ASCII": {request{body: text(goodWidget), header: map[string]string{"Idempotency-Key": "schlüssel"}}, 400, "idempotency_key_malformed", ""},
		"bad UTF-8 in a header": {request{body: text(goodWidget), header: map[string]string{"Prefer": "\xff"}}, 400, "encoding_malformed", ""},
		"bad subject":           {request{body: text(goodWidget), header: map[string]string{"Orderflow-Subject": "a b"}}, 400, "caller_malformed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, d := b.problem(t, c.request)
			require.Equal(t, c.status, d.Status, d)
			require.Equal(t, c.code, d.Code, d)
			if c.pointer != "" {
				require.NotEmpty(t, d.Errors, d)
				require.Equal(t, c.pointer, d.Errors[0].Pointer)
				require.Regexp(t, `^[A-Z][^\n]{1,200}\.$`, d.Errors[0].Message, "one clean sentence")
			}
		})
	}
}

func TestAnEmptyIdempotencyKeyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, values := range map[string][]string{"empty": {""}, "twice": {"a", "b"}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/v1/widgets", text(goodWidget))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header["Idempotency-Key"] = values
		res, err := b.client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusBadRequest, res.StatusCode, name)
	}
	require.Zero(t, b.server.reached())
}

func TestAllBadValuesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, d := b.problem(t, request{target: "/v1/widgets?b=1&a=1", body: text(`{
		"customer_id": "", "price": {"amount": -1.0, "currency": "EURO", "x": 1},
		"parts": [{"sku": "a", "quantity": 1}, {"sku": 1, "quantity": 0}]
	}`)})
	require.Equal(t, http.StatusBadRequest, d.Status)
	found := map[string]string{}
	for _, f := range d.Errors {
		require.NotContains(t, found, f.Pointer)
		found[f.Pointer] = f.Code
	}
	require.Equal(t, map[string]string{
		"query/a": "unknown_parameter", "query/b": "unknown_parameter", "/customer_id": "too_short",
		"/price/amount": "wrong_type", "/price/currency": "pattern", "/price/x": "unknown_field",
		"/parts/1/sku": "wrong_type", "/parts/1/quantity": "out_of_range",
	}, found)
	require.Contains(t, d.Errors, errs.Field{Pointer: "/customer_id", Code: "too_short", Message: "Must not be empty."})
	require.Contains(t, d.Errors, errs.Field{Pointer: "/parts/1/sku", Code: "wrong_type", Message: "Must be text."})
}

func TestAnAnswerNeverListsMoreThanAHundredBadValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, d := b.problem(t, request{body: good(`{"sku"`, strings.Repeat("1,", 5000)+`{"sku"`)})
	require.Len(t, d.Errors, 100)
}

func TestABodyOverTheLimitIsNotRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, length := range map[string]int64{"announced": 10 << 20, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := &countingReader{Reader: io.LimitReader(zeros{}, 1<<30)}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/v1/widgets", sent)
			require.NoError(t, err)
			req.ContentLength = length
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", "k")
			if length > 0 {
				req.Header.Set("Expect", "100-continue")
			}
			res, err := b.client.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
			if length > 0 {
				require.Zero(t, sent.n.Load(), "the server never asked for the body")
			} else {
				require.Less(t, sent.n.Load(), int64(64<<20), "the server hung up")
			}
		})
	}
	require.Zero(t, b.server.reached())
}

func TestAWrongMethodSaysWhichAreAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, d := b.problem(t, request{method: http.MethodDelete})
	require.Equal(t, http.StatusMethodNotAllowed, d.Status)
	require.Equal(t, "method_not_allowed", d.Code)
	require.Contains(t, res.header.Get("Allow"), "GET")
	require.Contains(t, res.header.Get("Allow"), "POST")
}

func TestABodyThatEndsTooEarlyIsTheClientsFailure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for target, contentType := range map[string]string{"/v1/widgets": "application/json", "/v1/widgets/import": "text/csv"} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Type: %s\r\n"+
			"Content-Length: 100\r\n\r\nabc", target, contentType)
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.Contains(t, string(answer), "HTTP/1.1 400 ")
		require.Contains(t, string(answer), `"code":"body_incomplete"`)
	}
	require.NotContains(t, b.log.String(), "ERROR")
}
