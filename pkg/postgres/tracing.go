package postgres

import (
	"context"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// newTracer traces statements, without what pgx does before: to prepare them is part of the first one's time.
func newTracer(cfg *pgx.ConnConfig) pgx.QueryTracer {
	t := otelpgx.NewTracer(
		otelpgx.WithTracerProvider(reticent{otel.GetTracerProvider()}),
		// Its own way to tell where a statement goes copies the whole configuration each time.
		otelpgx.WithDisableConnectionDetailsInAttributes(),
		otelpgx.WithTracerAttributes(semconv.DBNamespace(cfg.Database),
			semconv.ServerAddress(cfg.Host), semconv.ServerPort(int(cfg.Port))),
	)
	return struct {
		pgx.QueryTracer
		pgx.BatchTracer
		pgx.CopyFromTracer
		pgx.ConnectTracer
	}{t, t, t, t}
}

// reticent makes spans that tell that a statement failed, and with which SQLSTATE, but not PostgreSQL's message: it
// quotes values, and those may be personal data.
type reticent struct{ trace.TracerProvider }

// Tracer implements trace.TracerProvider.
func (p reticent) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return reticentTracer{p.TracerProvider.Tracer(name, opts...)}
}

type reticentTracer struct{ trace.Tracer }

// Start implements trace.Tracer.
func (t reticentTracer) Start(
	ctx context.Context, name string, opts ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	ctx, span := t.Tracer.Start(ctx, name, opts...)
	span = reticentSpan{span}
	return trace.ContextWithSpan(ctx, span), span
}

type reticentSpan struct{ trace.Span }

// RecordError implements trace.Span.
func (reticentSpan) RecordError(error, ...trace.EventOption) {}

// SetStatus implements trace.Span.
func (s reticentSpan) SetStatus(code codes.Code, _ string) { s.Span.SetStatus(code, "") }
