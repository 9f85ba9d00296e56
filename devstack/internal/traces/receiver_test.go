package traces

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
)

// TestWhatIsReceivedIsALineOfJSON exports what a file holds, and reads it again.
func TestWhatIsReceivedIsALineOfJSON(t *testing.T) {
	t.Parallel()
	recorded, err := os.ReadFile("testdata/not-ended/spans.jsonl")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "traces")
	address := free(t)
	r, err := Listen(t.Context(), address, dir)
	require.NoError(t, err)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	sent := 0
	for line := range bytes.Lines(recorded) {
		spans, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(line)
		require.NoError(t, err)
		_, err = ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans),
			grpc.UseCompressor(gzip.Name))
		require.NoError(t, err)
		sent++
	}
	require.NoError(t, conn.Close())
	require.NoError(t, r.Close())

	written, err := os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	require.Equal(t, sent, bytes.Count(written, []byte("\n")))
	const orderID = "ord_01a2085e-4e81-7d4e-9822-45d45112e527"
	var before, after bytes.Buffer
	require.NoError(t, Print(&before, "testdata/not-ended", orderID))
	require.NoError(t, Print(&after, dir, orderID))
	require.Equal(t, before.String(), after.String())
}

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
