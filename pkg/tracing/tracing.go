// Package tracing makes a program's spans and carries their context from one program to the next. OpenTelemetry's own
// OTEL_* variables say where spans go and which traces are sampled. It must not know what is traced.
package tracing

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/time/rate"
)

// propagator writes and reads the W3C's traceparent and tracestate, and nothing that a client could fill.
var propagator = propagation.TraceContext{}

// Start makes the program's spans go to the collector that OTEL_EXPORTER_OTLP_ENDPOINT (or the variable for traces
// alone) names, by OTLP over gRPC. Without either the program makes no spans and only hands on the context that it was
// given. OTEL_TRACES_SAMPLER and its argument choose what is sampled; all traces are if not set.
//
// A collector that is down costs nothing: spans wait in a queue of bounded size, are dropped when it is full, and no
// request waits for them. stop sends what is left.
func Start(
	ctx context.Context, log *slog.Logger, service, version string,
) (stop func(context.Context) error, err error) {
	otel.SetTextMapPropagator(propagator)
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return func(context.Context) error { return nil }, nil
	}
	sometimes := rate.Sometimes{Interval: time.Minute} // An outage must not fill the log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		sometimes.Do(func() { log.WarnContext(ctx, "spans are not exported", "error", err) })
	}))
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithHost(), resource.WithProcessPID(), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version),
			semconv.ServiceNamespace("orderflow")),
		resource.WithFromEnv(), // It has the last word.
	)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(exporter), trace.WithResource(about), trace.WithIDGenerator(ids{}))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

// Begin begins a span in the trace that ctx belongs to. If it belongs to none it begins none either: only a request
// from outside begins a trace, so that what a program does by itself, over and over, makes no noise.
func Begin(ctx context.Context, name string, opts ...oteltrace.SpanStartOption) (context.Context, oteltrace.Span) {
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return ctx, noop.Span{}
	}
	return otel.Tracer("github.com/orderflow/orderflow").Start(ctx, name, opts...)
}

// Outcome tells on a span how a call of another company ended, in one of a few words.
func Outcome(span oteltrace.Span, outcome string, healthy bool) {
	span.SetAttributes(attribute.String("orderflow.outcome", outcome))
	if !healthy {
		span.SetAttributes(semconv.ErrorTypeKey.String(outcome))
		span.SetStatus(codes.Error, outcome)
	}
}

// Inject returns the context of the current span as headers; nil if there is none.
func Inject(ctx context.Context) map[string]string {
	headers := propagation.MapCarrier{}
	propagator.Inject(ctx, headers)
	if len(headers) == 0 {
		return nil
	}
	return headers
}

// Carrier is where headers of a message are.
type Carrier = propagation.TextMapCarrier

// MessageCarrier is the headers of a message of NATS. Other than those of HTTP their names are as they were written.
type MessageCarrier map[string][]string

// Get implements Carrier.
func (c MessageCarrier) Get(name string) string {
	if values := c[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set implements Carrier.
func (c MessageCarrier) Set(name, value string) { c[name] = []string{value} }

// Keys implements Carrier.
func (c MessageCarrier) Keys() []string { return slices.Collect(maps.Keys(c)) }

// Extract returns ctx with the span that the headers name as the current one.
func Extract(ctx context.Context, headers Carrier) context.Context {
	return propagator.Extract(ctx, headers)
}

type spanIDKey struct{}

// WithSpanID makes the next span that is started with ctx have this id, so that what is started again has the id that
// it had.
func WithSpanID(ctx context.Context, id oteltrace.SpanID) context.Context {
	return context.WithValue(ctx, spanIDKey{}, id)
}

// ids generates random ids, except where WithSpanID has chosen one.
type ids struct{}

func (ids) NewIDs(ctx context.Context) (trace oteltrace.TraceID, span oteltrace.SpanID) {
	for !trace.IsValid() {
		binary.NativeEndian.PutUint64(trace[:8], rand.Uint64()) //nolint:gosec // not a secret
		binary.NativeEndian.PutUint64(trace[8:], rand.Uint64()) //nolint:gosec // not a secret
	}
	return trace, ids{}.NewSpanID(ctx, trace)
}

func (ids) NewSpanID(ctx context.Context, _ oteltrace.TraceID) oteltrace.SpanID {
	span, _ := ctx.Value(spanIDKey{}).(oteltrace.SpanID)
	for !span.IsValid() {
		binary.NativeEndian.PutUint64(span[:], rand.Uint64()) //nolint:gosec // not a secret
	}
	return span
}
