package httpapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/orderflow/orderflow/orchestrator/internal/httpapi"
	"github.com/orderflow/orderflow/orchestrator/internal/operations"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/problem"
)

func TestTheDocumentKeepsTheHouseStyle(t *testing.T) {
	t.Parallel()
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	openapitest.HouseStyle(t, spec)
}

// setup returns a client of the API in a world without Temporal, and the API's address.
func setup(t *testing.T) (*http.Client, string) {
	t.Helper()
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	silent := slog.New(slog.DiscardHandler)
	nowhere, err := client.NewLazyClient(client.Options{
		HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(silent),
	})
	require.NoError(t, err)
	t.Cleanup(nowhere.Close)
	e := httpserver.New(httpserver.Config{Spec: spec, Log: silent})
	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(httpapi.NewServer(operations.New(nowhere)), nil))
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return &http.Client{Transport: openapitest.Transport(t, spec, nil)}, server.URL
}

func TestWithoutTemporalOrTheScopeAnOperatorIsToldSo(t *testing.T) {
	t.Parallel()
	c, url := setup(t)
	for _, tc := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/sagas", ""},
		{http.MethodGet, "/v1/sagas?state=needs_attention&limit=5", ""},
		{http.MethodGet, "/v1/sagas/ord_1", ""},
		{http.MethodPost, "/v1/sagas/ord_1/resolutions", `{"step":"payments/Cancel","action":"skip","reason":"r"}`},
	} {
		for scopes, code := range map[string]string{"orders:operate": "temporal_unavailable", "orders:read": "scope_missing"} {
			t.Run(tc.method+" "+tc.path+" "+code, func(t *testing.T) {
				t.Parallel()
				req, err := http.NewRequestWithContext(t.Context(), tc.method, url+tc.path, strings.NewReader(tc.body))
				require.NoError(t, err)
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Idempotency-Key", "k")
				req.Header.Set("Orderflow-Scopes", scopes)
				res, err := c.Do(req)
				require.NoError(t, err)
				defer func() { require.NoError(t, res.Body.Close()) }()
				var d problem.Details
				require.NoError(t, json.NewDecoder(res.Body).Decode(&d))
				require.Equal(t, code, d.Code)
			})
		}
	}
}
