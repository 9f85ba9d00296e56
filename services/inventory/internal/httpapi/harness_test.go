package httpapi_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/problem"
	"github.com/orderflow/orderflow/services/inventory/client"
	"github.com/orderflow/orderflow/services/inventory/internal/httpapi"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// bundle is a running API on a database of its own.
type bundle struct {
	*client.ClientWithResponses
	t    *testing.T
	svc  *stock.Service
	pool *pgxpool.Pool
	url  string
	http *http.Client // checks every answer against the document
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	svc := stock.New(pool, time.Hour, func() {}, prometheus.NewRegistry())
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	e := httpserver.New(httpserver.Config{Spec: spec, Log: slog.New(slog.DiscardHandler)})
	httpapi.Register(e, svc)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)

	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	checked := &http.Client{Transport: openapitest.Transport(t, spec, base)}
	c, err := client.NewClientWithResponses(server.URL, client.WithHTTPClient(checked))
	require.NoError(t, err)
	return bundle{ClientWithResponses: c, t: t, svc: svc, pool: pool, url: server.URL, http: checked}
}

// request is what the generated client cannot send.
type request struct {
	method, path, body string
	header             map[string]string
}

func (b bundle) send(r request) (*http.Response, problem.Details) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), r.method, b.url+r.path, strings.NewReader(r.body))
	require.NoError(b.t, err)
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.method == http.MethodPost {
		req.Header.Set("Idempotency-Key", uuid.NewString())
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	res, err := b.http.Do(req)
	require.NoError(b.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	var d problem.Details
	if res.StatusCode >= http.StatusBadRequest {
		require.Equal(b.t, problem.ContentType, res.Header.Get("Content-Type"), "%s", raw)
		require.NoError(b.t, json.Unmarshal(raw, &d))
	}
	return res, d
}

// put sets what is on hand, each as "SKU WAREHOUSE QUANTITY".
func (b bundle) put(rows ...string) {
	b.t.Helper()
	csv := "sku,warehouse,on_hand\n" + strings.ReplaceAll(strings.Join(rows, "\n"), " ", ",")
	res, err := b.ImportStockWithBodyWithResponse(b.t.Context(), nil, "text/csv", strings.NewReader(csv))
	require.NoError(b.t, err)
	require.NotNil(b.t, res.JSON200, "%s", res.Body)
}

// stored sums up everything that a request could have changed.
func (b bundle) stored() string {
	b.t.Helper()
	var s string
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), `SELECT concat_ws(' ',
		(SELECT string_agg(concat_ws(',', sku, warehouse, on_hand, reserved, updated_at), ' ' ORDER BY sku, warehouse)
		 FROM stock),
		(SELECT string_agg(concat_ws(',', code, priority), ' ' ORDER BY code) FROM warehouses),
		(SELECT count(*) FROM reservations), (SELECT count(*) FROM outbox),
		(SELECT count(*) FROM idempotency_keys))`).Scan(&s))
	return s
}
