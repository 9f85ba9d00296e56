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
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/problem"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/client"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/httpapi"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
	"github.com/orderflow/orderflow/services/payments/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a running API on a database of its own, and a client that holds every answer against the document.
type bundle struct {
	*client.ClientWithResponses
	t    *testing.T
	svc  *payment.Service
	pool *pgxpool.Pool
	url  string
	http *http.Client
}

func setup(t *testing.T) *bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, store.Migrations, sandbox.Migrations)
	sb := sandbox.New(pool)
	return serve(t, pool, sb, sb)
}

func serve(t *testing.T, pool *pgxpool.Pool, gateway payment.Gateway, sb *sandbox.Gateway) *bundle {
	t.Helper()
	svc := payment.NewService(payment.Config{
		Pool: pool, Gateway: gateway, Timeout: 2 * time.Second, Margin: 10 * time.Second,
	})
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	e := httpserver.New(httpserver.Config{Spec: spec, Log: slog.New(slog.DiscardHandler)})
	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(httpapi.NewServer(svc, sb), nil))
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)

	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	checked := &http.Client{Transport: openapitest.Transport(t, spec, base)}
	c, err := client.NewClientWithResponses(server.URL, client.WithHTTPClient(checked))
	require.NoError(t, err)
	return &bundle{ClientWithResponses: c, t: t, svc: svc, pool: pool, url: server.URL, http: checked}
}

// request is what the generated client cannot send. A header that is empty is not sent at all.
type request struct {
	method, path, body string
	header             map[string]string
}

func (b *bundle) send(r request) (int, problem.Details) {
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
	return res.StatusCode, d
}

// authorized returns the id of a new payment of EUR 19.99, and of its order.
func (b *bundle) authorized(customer, token string) (paymentID, orderID string) {
	b.t.Helper()
	orderID = id.New(id.Order)
	a, err := b.svc.Authorize(b.t.Context(), payments.AuthorizeRequest{
		OrderID: orderID, CustomerID: customer, Amount: money.Of(1999, "EUR"), Token: token,
	})
	require.NoError(b.t, err)
	return a.PaymentID, orderID
}

func (b *bundle) captured() (paymentID, orderID string) {
	b.t.Helper()
	paymentID, orderID = b.authorized("cus_1", sandbox.TokenVisa)
	_, err := b.svc.Capture(b.t.Context(), payments.CaptureRequest{OrderID: orderID})
	require.NoError(b.t, err)
	return paymentID, orderID
}

// stored sums up everything that a request could have changed.
func (b *bundle) stored() string {
	b.t.Helper()
	var s string
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), `SELECT concat_ws(' ',
		(SELECT string_agg(p::text, ' ' ORDER BY id) FROM payments p), (SELECT count(*) FROM refunds),
		(SELECT string_agg(f::text, ' ') FROM fraud_settings f), (SELECT count(*) FROM fraud_limits),
		(SELECT string_agg(o::text, ' ') FROM sandbox.outage o), (SELECT count(*) FROM outbox))`).Scan(&s))
	return s
}

func ptr[T any](v T) *T { return &v }
