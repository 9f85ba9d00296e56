// Package tracingtest receives a test's own spans as a collector would, by OTLP over gRPC.
package tracingtest

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/orderflow/orderflow/pkg/tracing"
)

// dockerClient is the library by which Docker's client makes spans of its own calls.
const dockerClient = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

// Collector keeps what it receives.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	stop func(context.Context) error

	mu    sync.Mutex
	spans []*tracepb.Span
}

// Start makes the test's spans go to a collector of its own. The test cannot be parallel, because a process has one
// place that its spans go to.
func Start(t *testing.T) *Collector {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c, server := &Collector{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	c.stop, err = tracing.Start(t.Context(), slog.New(slog.DiscardHandler), "test", "v0")
	require.NoError(t, err)
	return c
}

// Export implements collector.TraceServiceServer.
func (c *Collector) Export(
	_ context.Context, req *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			if scope.GetScope().GetName() == dockerClient {
				continue // It got the test its database.
			}
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// Spans ends the test's tracing and returns all spans that it made, in the order of their ends.
func (c *Collector) Spans(t *testing.T) []*tracepb.Span {
	t.Helper()
	require.NoError(t, c.stop(context.WithoutCancel(t.Context())))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}
