package tracing_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/tracing"
	"github.com/orderflow/orderflow/pkg/tracing/tracingtest"
)

// All tests set what is one for the process: its environment and where its spans go.

func TestSpansReachTheCollectorInOneTrace(t *testing.T) { //nolint:paralleltest // See above.
	c := tracingtest.Start(t)
	ctx, root := otel.Tracer("test").Start(t.Context(), "root")
	carried := tracing.Inject(ctx)
	far, child := tracing.Begin(tracing.Extract(t.Context(), propagation.MapCarrier(carried)), "child")
	child.End()
	root.End()
	require.True(t, oteltrace.SpanContextFromContext(far).IsValid())

	spans := c.Spans(t)
	require.Len(t, spans, 2)
	require.Equal(t, spans[1].GetTraceId(), spans[0].GetTraceId())
	require.Equal(t, spans[1].GetSpanId(), spans[0].GetParentSpanId())
}

func TestWhatBelongsToNoTraceBeginsNone(t *testing.T) { //nolint:paralleltest // See above.
	c := tracingtest.Start(t)
	ctx, span := tracing.Begin(t.Context(), "background")
	span.End()
	require.Nil(t, tracing.Inject(ctx))
	require.Empty(t, c.Spans(t))
}

func TestASpanHasTheIDThatWasChosenForIt(t *testing.T) { //nolint:paralleltest // See above.
	c := tracingtest.Start(t)
	chosen := oteltrace.SpanID{1, 2, 3}
	_, span := otel.Tracer("test").Start(tracing.WithSpanID(t.Context(), chosen), "again")
	span.End()
	spans := c.Spans(t)
	require.Len(t, spans, 1)
	require.Equal(t, chosen[:], spans[0].GetSpanId())
}

func TestTheSamplerIsTheEnvironments(t *testing.T) {
	for sampler, want := range map[string]int{"": 1, "always_off": 0, "parentbased_always_on": 1} {
		t.Run(sampler, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", sampler)
			c := tracingtest.Start(t)
			_, span := otel.Tracer("test").Start(t.Context(), "root")
			span.End()
			require.Len(t, c.Spans(t), want)
		})
	}
}

func TestAClientThatDoesNotSampleIsObeyed(t *testing.T) { //nolint:paralleltest // See above.
	c := tracingtest.Start(t)
	ctx := tracing.Extract(t.Context(), propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})
	ctx, span := tracing.Begin(ctx, "request")
	span.End()
	require.NotEmpty(t, tracing.Inject(ctx), "the decision is handed on")
	require.Empty(t, c.Spans(t))
}

func TestWithoutAnEndpointTheContextIsHandedOn(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	stop, err := tracing.Start(t.Context(), slog.New(slog.DiscardHandler), "test", "v0")
	require.NoError(t, err)
	given := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	require.Equal(t, map[string]string(given), tracing.Inject(tracing.Extract(t.Context(), given)))
	require.NoError(t, stop(t.Context()))
}

// TestACollectorThatDoesNotAnswerCostsNothing has one that takes connections and is silent, and one that is not there.
func TestACollectorThatDoesNotAnswerCostsNothing(t *testing.T) {
	for name, listens := range map[string]bool{"hangs": true, "is down": false} {
		t.Run(name, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			if listens {
				go swallow(listener)
				t.Cleanup(func() { _ = listener.Close() })
			} else {
				require.NoError(t, listener.Close())
			}
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")

			begun := time.Now()
			stop, err := tracing.Start(t.Context(), slog.New(slog.DiscardHandler), "test", "v0")
			require.NoError(t, err)
			require.Less(t, time.Since(begun), time.Second, "a program starts without it")

			const spans = 100_000 // far more than the queue holds
			begun = time.Now()
			for range spans {
				_, span := otel.Tracer("test").Start(t.Context(), "root")
				span.End()
			}
			require.Less(t, time.Since(begun)/spans, 100*time.Microsecond, "nobody waits for it")

			const farewell = time.Second
			ctx, cancel := context.WithTimeout(t.Context(), farewell)
			defer cancel()
			begun = time.Now()
			require.Error(t, stop(ctx), "what is lost is said")
			require.Less(t, time.Since(begun), 2*farewell, "a program stops without it")
		})
	}
}

func swallow(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
}
