package httpserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/httpserver/internal/widgets"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/problem"
)

type countingReader struct {
	io.Reader
	n atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

func TestGoodRequestsReachTheHandlerExactly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got widgets.NewWidget
	b.server.create = func(
		_ context.Context, r widgets.CreateWidgetRequestObject,
	) (widgets.CreateWidgetResponseObject, error) {
		got = *r.Body
		require.Equal(t, "key-1", r.Params.IdempotencyKey, "without its quotes")
		return widgets.CreateWidget201JSONResponse{
			Body:    widgets.Widget{ID: "w", Price: got.Price},
			Headers: widgets.CreateWidget201ResponseHeaders{Location: "/v1/widgets/w"},
		}, nil
	}
	res := b.do(t, request{
		header: map[string]string{"Idempotency-Key": `"key-1"`, "Content-Type": "application/json; charset=utf-8"},
		body: text(fmt.Sprintf(`{
			"customer_id": "Zoë \ud83d\ude00 \ud800", "price": {"amount": %d, "currency": "EUR"},
			"parts": [{"sku": "a", "quantity": 1, "grams": -2147483648}], "colour": "red",
			"wanted_by": "2026-01-31T12:00:00.5+01:00", "labels": {"Any Key": "x"}
		}`, math.MaxInt64)),
	})
	require.Equal(t, http.StatusCreated, res.status, res.body)
	require.Equal(t, int64(math.MaxInt64), got.Price.Amount)
	require.Equal(t, "Zoë 😀 \ufffd", got.CustomerID, "a lone surrogate is replaced")
	require.Equal(t, int32(math.MinInt32), *got.Parts[0].Grams)
	require.True(t, got.WantedBy.Equal(time.Date(2026, 1, 31, 11, 0, 0, 5e8, time.UTC)))
	require.Equal(t, map[string]string{"Any Key": "x"}, *got.Labels)
	require.Contains(t, res.body, "9223372036854775807")
}

func TestPathParametersAreUnescapedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for target, want := range map[string]string{"a%2Fb": "a/b", "a%252Fb": "a%2Fb", "a+b": "a+b", "%C3%A4": "ä", "a b": "a b"} {
		b.server.get = func(_ context.Context, id string) (widgets.GetWidgetResponseObject, error) {
			require.Equal(t, want, id)
			return nil, errNoWidget
		}
		_, d := b.problem(t, request{method: http.MethodGet, target: "/v1/widgets/" + strings.ReplaceAll(target, " ", "%20")})
		require.Equal(t, "widget_not_found", d.Code)
	}
}

func TestErrorsOfHandlersBecomeProblems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
		logged bool
	}{
		"failure":         {errNoWidget, 404, "widget_not_found", false},
		"wrapped failure": {fmt.Errorf("get: %w", errNoWidget.WithCause(io.EOF)), 404, "widget_not_found", false},
		"unavailable": {
			errs.New(errs.Unavailable, "database_unavailable", "Please try again.").WithCause(errors.New("secret-a")), 503,
			"database_unavailable", true,
		},
		"anything else": {errors.New("secret-a"), 500, "internal", true},
	} {
		b.server.get = func(context.Context, string) (widgets.GetWidgetResponseObject, error) { return nil, c.err }
		res, d := b.problem(t, request{method: http.MethodGet, target: "/v1/widgets/x"})
		require.Equal(t, c.status, d.Status, name)
		require.Equal(t, c.code, d.Code, name)
		require.NotContains(t, d.Detail, "secret")
		require.Equal(t, c.status == 503, res.header.Get("Retry-After") != "", name)
	}
	require.Contains(t, b.log.String(), "secret-a")
}

func TestBindingErrorsOfGeneratedHandlersBecomeProblems(t *testing.T) {
	t.Parallel()
	e := echo.New() // without validation, which leaves no such error to the generated code
	e.HTTPErrorHandler = problem.ErrorHandler(quiet)
	widgets.RegisterHandlers(e, widgets.NewStrictHandler(&widgetServer{}, nil))
	for name, r := range map[string]*http.Request{
		"parameter": httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/widgets?limit=abc", nil),
		"header":    httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/widgets", nil),
	} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		var d problem.Details
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
		require.Equal(t, "request_malformed", d.Code)
		require.NotContains(t, w.Body.String(), "strconv")
	}
}

func TestAPanicIsA500WithoutDetailsAndItsStackIsLogged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.get = func(context.Context, string) (widgets.GetWidgetResponseObject, error) { panic("secret-p") }
	_, d := b.problem(t, request{method: http.MethodGet, target: "/v1/widgets/x"})
	require.Equal(t, "internal", d.Code)
	require.NotContains(t, d.Detail, "secret")
	require.Contains(t, b.log.String(), "secret-p")
	require.Contains(t, b.log.String(), "edge_test.go", "the stack")

	b.server.get = nil
	_, d = b.problem(t, request{method: http.MethodGet, target: "/v1/widgets/x"})
	require.Equal(t, "widget_not_found", d.Code, "the server goes on")
}

func TestStreamedBodiesAreLimitedByTheirOperation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	csv := map[string]string{"Content-Type": "text/csv"}
	row := "a,1\n"

	res := b.do(t, request{
		target: "/v1/widgets/import", header: csv, body: text(strings.Repeat(row, 2<<20/len(row))),
	})
	require.Equal(t, http.StatusOK, res.status, "more than the default limit: %s", res.body)

	_, d := b.problem(t, request{
		target: "/v1/widgets/import", header: csv, body: struct{ io.Reader }{text(strings.Repeat(row, 5<<20/len(row)))},
	})
	require.Equal(t, "body_too_large", d.Code)
}

func TestAClientThatGoesAwayIsNoFailureOfOurs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	entered := make(chan struct{})
	b.server.get = func(ctx context.Context, _ string) (widgets.GetWidgetResponseObject, error) {
		close(entered)
		<-ctx.Done()
		return nil, fmt.Errorf("query: %w", ctx.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/v1/widgets/x", nil)
	require.NoError(t, err)
	res, err := b.client.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return strings.Contains(b.log.String(), `"status":499`) }, 5*time.Second, time.Millisecond)
	require.NotContains(t, b.log.String(), "ERROR")
}

func TestTheCallerReachesTheHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got caller.Caller
	b.server.get = func(ctx context.Context, _ string) (widgets.GetWidgetResponseObject, error) {
		got = caller.From(ctx)
		return nil, errNoWidget
	}
	b.do(t, request{method: http.MethodGet, target: "/v1/widgets/x"})
	require.Equal(t, "development", got.Subject)
	require.True(t, got.MaySeeEverything())

	b.do(t, request{method: http.MethodGet, target: "/v1/widgets/x", header: map[string]string{
		httpserver.HeaderSubject: "shop-7", httpserver.HeaderScopes: "orders:place  orders:read",
	}})
	require.Equal(t, caller.Caller{Subject: "shop-7", Scopes: []string{"orders:place", "orders:read"}}, got)
	require.False(t, got.MaySeeEverything())
}

func TestTheIdempotencyRequestReachesTheHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got idempotency.Request
	b.server.create = func(
		ctx context.Context, _ widgets.CreateWidgetRequestObject,
	) (widgets.CreateWidgetResponseObject, error) {
		var ok bool
		got, ok = idempotency.FromContext(ctx)
		require.True(t, ok)
		return nil, errNoWidget
	}
	send := func(body io.Reader, header map[string]string) idempotency.Request {
		_, d := b.problem(t, request{body: body, header: header})
		require.Equal(t, "widget_not_found", d.Code)
		return got
	}
	first := send(text(goodWidget), map[string]string{httpserver.HeaderSubject: "shop-7"})
	require.Equal(t, "shop-7", first.Caller)
	require.Equal(t, "key-1", first.Key)
	require.Len(t, first.Fingerprint, 32)

	again := send(text(goodWidget), map[string]string{
		httpserver.HeaderSubject: "shop-7", "Idempotency-Key": `"key-1"`, "Prefer": "wait=1",
	})
	require.Equal(t, first, again, "neither the spelling of the key nor a preference makes another request")
	other := send(good("c1", "c2"), nil)
	require.NotEqual(t, first.Fingerprint, other.Fingerprint)
	require.Equal(t, "development", other.Caller)
}

func TestRequestsAreLoggedAndMeasuredByRouteWithoutValues(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	b := setup(t, func(c *httpserver.Config) { c.Registry = registry })
	setup(t, func(c *httpserver.Config) { c.Registry = registry }) // A second server may share the registry.

	res := b.do(t, request{
		method: http.MethodGet, target: "/v1/widgets?customer_id=personal", header: map[string]string{"X-Request-Id": "r-1"},
	})
	require.Equal(t, "r-1", res.header.Get("X-Request-Id"))
	res = b.do(t, request{
		method: http.MethodGet, target: "/v1/widgets/personal", header: map[string]string{"X-Request-Id": "a b"},
	})
	require.NotEqual(t, "a b", res.header.Get("X-Request-Id"))
	b.do(t, request{method: http.MethodGet, target: "/personal"})

	log := b.log.String()
	require.NotContains(t, log, "personal")
	require.Contains(t, log, `"route":"/v1/widgets/{id}","status":404`)
	require.Contains(t, log, `"code":"widget_not_found"`)
	require.Contains(t, log, `"request_id":"r-1"`)
	count, err := testutil.GatherAndCount(registry, "http_request_duration_seconds")
	require.NoError(t, err)
	require.Equal(t, 3, count, "list 2xx, get 4xx, unmatched 4xx")
}

func TestTheGeneratedCodeIsOfThisDocument(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromFile("testdata/openapi.yaml")
	require.NoError(t, err)
	want, err := document.MarshalJSON()
	require.NoError(t, err)
	generated, err := widgets.GetSpec()
	require.NoError(t, err)
	got, err := generated.MarshalJSON()
	require.NoError(t, err)
	// The generator capitalises operation ids.
	require.JSONEq(t, strings.ToLower(string(want)), strings.ToLower(string(got)))
}
