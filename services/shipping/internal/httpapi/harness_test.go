package httpapi_test

import (
	"context"
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

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/problem"
	"github.com/orderflow/orderflow/services/shipping/client"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/httpapi"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
	"github.com/orderflow/orderflow/services/shipping/internal/store"
)

type bundle struct {
	*client.ClientWithResponses
	pool  *pgxpool.Pool
	books *sandbox.Carrier
	url   string
	http  *http.Client // Checks every answer against the document.
}

// patient waits long enough for every carrier that is not slow.
const patient = 10 * time.Second

// setup starts the API. byHand is how long a request waits for the carrier.
func setup(t *testing.T, byHand time.Duration) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations, sandbox.Schema)
	log := slog.New(slog.DiscardHandler)
	books := sandbox.New(pool, time.Hour)
	timing := shipment.Timing{Call: 5 * time.Second, Poll: 10 * time.Millisecond, ByHand: byHand}
	guard := carrier.NewGuard(books, timing.Call, prometheus.NewRegistry())
	svc := shipment.New(pool, guard, timing, func() {}, log, prometheus.NewRegistry())
	e, err := httpapi.New(svc, books, log, prometheus.NewRegistry())
	require.NoError(t, err)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	checked := &http.Client{Transport: openapitest.Transport(t, spec, base)}
	c, err := client.NewClientWithResponses(server.URL, client.WithHTTPClient(checked))
	require.NoError(t, err)
	return bundle{ClientWithResponses: c, pool: pool, books: books, url: server.URL, http: checked}
}

func bookingTo(postalCode string) client.BookingRequest {
	return client.BookingRequest{
		OrderID: id.New(id.Order), FulfilmentID: "1", Warehouse: "berlin",
		Items: []client.Item{{Sku: "TEA-1", Quantity: 2}},
		To: client.Address{
			Name: "Ada Lovelace", Line1: "Invalidenstr. 1", City: "Berlin", PostalCode: postalCode, Country: "DE",
		},
	}
}

// withScopes makes the caller one that holds only these.
func withScopes(scopes string) client.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Orderflow-Scopes", scopes)
		return nil
	}
}

func (b bundle) book(t *testing.T, req client.BookingRequest) *client.BookShipmentHTTPResponse {
	t.Helper()
	res, err := b.BookShipmentWithResponse(t.Context(), &client.BookShipmentParams{IdempotencyKey: uuid.NewString()}, req)
	require.NoError(t, err)
	return res
}

func (b bundle) cancel(t *testing.T, shipmentID string) *client.CancelShipmentHTTPResponse {
	t.Helper()
	res, err := b.CancelShipmentWithResponse(t.Context(), shipmentID,
		&client.CancelShipmentParams{IdempotencyKey: uuid.NewString()})
	require.NoError(t, err)
	return res
}

// send is for requests that the generated client cannot make.
func (b bundle) send(t *testing.T, method, path, body string, header http.Header) (int, problem.Details) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header = header.Clone()
	res, err := b.http.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var p problem.Details
	if res.StatusCode >= http.StatusBadRequest {
		require.Equal(t, problem.ContentType, res.Header.Get("Content-Type"), "%s", raw)
		require.NoError(t, json.Unmarshal(raw, &p))
	}
	return res.StatusCode, p
}

// stored counts everything that a request could have left behind.
func (b bundle) stored(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(t.Context(), `select (select count(*) from shipments)
		+ (select count(*) from outbox) + (select count(*) from idempotency_keys)
		+ (select count(*) from sandbox.bookings)`).Scan(&n))
	return n
}
