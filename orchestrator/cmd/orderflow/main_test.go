package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACommandThatIsNotUnderstoodSaysHowToSayIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args     []string
		sentence string
	}{
		"nothing":          {nil, "usage: orderflow COMMAND"},
		"unknown command":  {[]string{"audits"}, `there is no command "audits"`},
		"unknown flag":     {[]string{"audit", "-until", "1h"}, "flag provided but not defined: -until"},
		"no duration":      {[]string{"audit", "-since", "yesterday"}, `invalid value "yesterday" for flag -since`},
		"negative time":    {[]string{"audit", "-since", "-1h"}, "flag -since: must not be negative"},
		"no patience":      {[]string{"audit", "-patience", "-1s"}, "flag -patience: must not be negative"},
		"argument":         {[]string{"audit", "everything"}, `unexpected argument "everything"`},
		"argument of demo": {[]string{"demo", "fast"}, `unexpected argument "fast"`},
	} {
		var out, problems bytes.Buffer
		require.Equal(t, 2, run(t.Context(), tc.args, &out, &problems), name)
		require.Contains(t, problems.String(), tc.sentence, name)
		require.Empty(t, out.String(), name)
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-h"}, {"--help"}, {"help"}, {"audit", "-h"}, {"demo", "-help"}} {
		var out bytes.Buffer
		require.Zero(t, run(t.Context(), args, &out, &out), args)
		require.Contains(t, strings.ToLower(out.String()), "usage", args)
	}
}

func TestAServiceThatIsAwayIsNamed(t *testing.T) { //nolint:paralleltest // It sets the environment.
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"items":[]}`)
	}))
	defer empty.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusInternalServerError)
	}))
	defer broken.Close()
	for _, each := range []string{"ORDERS_URL", "PAYMENTS_URL", "INVENTORY_URL", "SHIPPING_URL"} {
		t.Setenv(each, empty.URL)
	}
	require.Equal(t, "0 orders checked, 0 findings\n", audited(t, 0))
	for _, each := range []string{"ORDERS_URL", "PAYMENTS_URL", "INVENTORY_URL", "SHIPPING_URL"} {
		t.Setenv(each, "http://127.0.0.1:1")
		require.Contains(t, audited(t, 1), "127.0.0.1:1")
		t.Setenv(each, broken.URL)
		require.Contains(t, audited(t, 1), "a service answered 500: out of order")
		t.Setenv(each, "not a url%")
		require.Contains(t, audited(t, 1), "orderflow: ")
		t.Setenv(each, empty.URL)
	}
}

// audited runs an audit and returns all it says.
func audited(t *testing.T, code int) string {
	t.Helper()
	var out bytes.Buffer
	require.Equal(t, code, run(t.Context(), []string{"audit"}, &out, &out), "%s", &out)
	require.Equal(t, 1, strings.Count(strings.TrimSpace(out.String())+"\n", "\n"), "one sentence: %s", &out)
	return out.String()
}

func TestACommandThatIsInterruptedFails(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	t.Setenv("ORDERS_URL", "http://127.0.0.1:1")
	require.Equal(t, 1, run(ctx, []string{"audit"}, io.Discard, io.Discard))
	require.Equal(t, 1, run(ctx, []string{"demo"}, io.Discard, io.Discard))
}
