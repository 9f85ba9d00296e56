// Package logging makes the one logger of a program: JSON for machines, text for a terminal.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Format is how a record is written.
type Format string

// The formats.
const (
	JSON Format = "json"
	Text Format = "text"
)

// Config is embedded in the settings of a program.
type Config struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	Format Format     `env:"LOG_FORMAT" envDefault:"json"`
}

// UnmarshalText accepts "json" and "text".
func (f *Format) UnmarshalText(text []byte) error {
	switch Format(text) {
	case JSON, Text:
		*f = Format(text)
		return nil
	default:
		return fmt.Errorf("log format %q is neither json nor text", text)
	}
}

// New returns a logger that names the service in every record.
func New(w io.Writer, cfg Config, service string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == Text {
		// On a terminal the line's prefix names the service already.
		return slog.New(traced{slog.NewTextHandler(w, opts)})
	}
	return slog.New(traced{slog.NewJSONHandler(w, opts)}).With("service", service)
}

// traced adds to each record the trace and the span that it belongs to.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traced) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
