package demo_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/orchestrator/internal/demo"
)

func TestADemoThatCannotShowItsEndingsFails(t *testing.T) {
	t.Parallel()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	}))
	defer broken.Close()
	var out bytes.Buffer
	d, err := demo.New(broken.URL, &out)
	require.NoError(t, err)
	require.ErrorContains(t, d.Run(t.Context()), "the API answered 503: out of order")
	require.Equal(t, 7, strings.Count(out.String(), "✗"), "%s", &out)
	require.NotContains(t, out.String(), "✓")
}
