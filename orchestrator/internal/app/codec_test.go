package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/seal"
)

func TestTheCodecOpensNothingForOtherMachines(t *testing.T) {
	t.Parallel()
	const ui = "http://127.0.0.1:8233"
	keys, err := seal.ParseKeyring(seal.NewKey("test"))
	require.NoError(t, err)
	for peer, want := range map[string]int{
		"127.0.0.1:4000": http.StatusOK, "[::1]:4000": http.StatusOK, "[::ffff:127.0.0.1]:4000": http.StatusOK,
		"192.0.2.7:4000": http.StatusForbidden, "nonsense": http.StatusForbidden,
	} {
		req := httptest.NewRequest(http.MethodPost, "/v1/codec/decode", strings.NewReader("{}"))
		req.RemoteAddr = peer
		req.Header.Set("Origin", ui)
		answer := httptest.NewRecorder()
		codecServer(keys, ui).ServeHTTP(answer, req)
		require.Equal(t, want, answer.Code, peer)
	}
}
