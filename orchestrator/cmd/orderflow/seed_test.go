package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyAnEmptyInventoryIsSeeded(t *testing.T) {
	var stored, kind string
	inventory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + " " + r.URL.String() {
		case "GET /v1/stock?limit=1":
			if stored == "" {
				_, _ = io.WriteString(w, `{"items":[]}`)
				return
			}
			_, _ = io.WriteString(w, `{"items":[{"sku":"MUG","warehouse":"BER"}]}`)
		case "PUT /v1/stock":
			body, _ := io.ReadAll(r.Body)
			stored, kind = stored+string(body), r.Header.Get("Content-Type")
			_, _ = io.WriteString(w, `{"imported":4}`)
		default:
			http.Error(w, "unexpected", http.StatusTeapot)
		}
	}))
	defer inventory.Close()
	t.Setenv("INVENTORY_URL", inventory.URL)
	for _, want := range []string{"demo stock seeded\n", "inventory has stock already, nothing seeded\n"} {
		var out bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"seed"}, &out, &out), "%s", &out)
		require.Equal(t, want, out.String())
	}
	require.Equal(t, string(demoStock), stored)
	require.Equal(t, "text/csv", kind)
}

func TestASeedThatFailsSaysWhatInventoryAnswered(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for name, refuses := range map[string]string{"the question": http.MethodGet, "the stock": http.MethodPut} {
		inventory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == refuses {
				http.Error(w, "the database is away", http.StatusServiceUnavailable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"items":[]}`)
		}))
		t.Setenv("INVENTORY_URL", inventory.URL)
		var out bytes.Buffer
		require.Equal(t, 1, run(t.Context(), []string{"seed"}, &out, &out), name)
		require.Contains(t, out.String(), "503 Service Unavailable: the database is away", name)
		inventory.Close()
	}
}
