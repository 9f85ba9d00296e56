package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/problem"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders/client"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/httpapi"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

// bundle is the API on a database of its own. Every answer is checked against the OpenAPI document.
type bundle struct {
	url     string
	pool    *pgxpool.Pool
	service *order.Service
	http    *http.Client
	client  *client.ClientWithResponses
	// operator may see everything, and is who the service's other parts act as.
	operator context.Context
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	keys, err := seal.ParseKeyring(seal.NewKey("test"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	board := endings.NewBoard(order.Settled(pool), log)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- board.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-stopped)
	})
	service := order.NewService(pool, keys, board, order.NewMetrics(prometheus.NewRegistry()), func() {})

	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	e := httpserver.New(httpserver.Config{Spec: spec, Log: log})
	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(httpapi.NewServer(service, log), nil))
	ts := httptest.NewServer(e)
	t.Cleanup(ts.Close)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	b := bundle{
		url: ts.URL, pool: pool, service: service,
		http:     &http.Client{Transport: openapitest.Transport(t, spec, base)},
		operator: caller.With(t.Context(), caller.Caller{Subject: "ops", Scopes: []string{caller.ScopeAll}}),
	}
	b.client, err = client.NewClientWithResponses(ts.URL, client.WithHTTPClient(b.http))
	require.NoError(t, err)
	return b
}

// as makes a request come from a caller, with scopes or with none.
func as(subject string, scopes ...string) client.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set(httpserver.HeaderSubject, subject)
		r.Header.Set(httpserver.HeaderScopes, strings.Join(append(scopes, "orders:place"), " "))
		return nil
	}
}

func mugs() client.NewOrder {
	return client.NewOrder{
		CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok_visa",
		Lines: []client.OrderLine{{Sku: "MUG-1", Quantity: 2, UnitPrice: 1250}},
		ShippingAddress: client.Address{
			Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB",
		},
	}
}

const goodBody = `{"customer_id":"cus_1","currency":"EUR","payment_token":"tok_visa",` +
	`"lines":[{"sku":"MUG-1","quantity":2,"unit_price":1250}],` +
	`"shipping_address":{"name":"Ada","line1":"Square 12","city":"London","postal_code":"SW1Y 4JH","country":"GB"}}`

// good returns the good body with one thing changed.
func good(old, replacement string) string { return strings.Replace(goodBody, old, replacement, 1) }

func (b bundle) place(t *testing.T, editors ...client.RequestEditorFn) client.Order {
	t.Helper()
	res, err := b.client.PlaceOrderWithResponse(t.Context(), &client.PlaceOrderParams{IdempotencyKey: id.New(id.Event)},
		mugs(), editors...)
	require.NoError(t, err)
	require.NotNil(t, res.JSON202, "%s", res.Body)
	return *res.JSON202
}

func (b bundle) count(t *testing.T, table string) int {
	t.Helper()
	var n int
	require.NoError(t, b.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

type request struct {
	method, path, body string
	header             map[string]string // An empty value removes a header.
}

// problem sends a request that must fail, and returns how.
func (b bundle) problem(t *testing.T, r request) problem.Details {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, b.url+r.path, bytes.NewBufferString(r.body))
	require.NoError(t, err)
	if r.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", id.New(id.Event))
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	res, err := b.http.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, problem.ContentType, res.Header.Get("Content-Type"), "%d %s", res.StatusCode, raw)
	var d problem.Details
	require.NoError(t, json.Unmarshal(raw, &d))
	require.Equal(t, res.StatusCode, d.Status)
	return d
}
