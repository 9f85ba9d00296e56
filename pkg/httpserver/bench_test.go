package httpserver_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/httpserver/internal/widgets"
)

// BenchmarkCreate measures what the edge costs around a handler that does nothing: an order of ten lines.
func BenchmarkCreate(b *testing.B) {
	spec, err := widgets.GetSpec()
	require.NoError(b, err)
	e := httpserver.New(httpserver.Config{Spec: spec, Log: slog.New(slog.DiscardHandler)})
	widgets.RegisterHandlers(e, widgets.NewStrictHandler(&widgetServer{}, nil))
	body := strings.Replace(goodWidget, `[{`, `[`+strings.Repeat(`{"sku":"a","quantity":1},`, 9)+"{", 1)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/widgets", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "k")
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			b.Fatal(w.Body)
		}
	}
}
