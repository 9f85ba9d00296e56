package httpserver

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/tracing"
)

// traced makes each request a span of the trace that its client names, or the root of a new one. It follows the
// semantic conventions for HTTP servers (https://opentelemetry.io/docs/specs/semconv/http/http-spans/), without what
// tells of persons: the client's address, its program and the query.
//
// The library for it, otelhttp, would make each image 1.5 MB larger, most of which wraps what echo has wrapped already.
func traced(ops operations) echo.MiddlewareFunc {
	tracer := otel.Tracer("github.com/orderflow/orderflow/pkg/httpserver")
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			req := c.Request()
			name, opts := req.Method, []trace.SpanStartOption{
				trace.WithSpanKind(trace.SpanKindServer),
				trace.WithAttributes(semconv.HTTPRequestMethodKey.String(req.Method), semconv.URLScheme(c.Scheme()),
					semconv.URLPath(req.URL.Path)),
			}
			if op := ops.of(c); op != nil {
				name += " " + op.path
				opts = append(opts, trace.WithAttributes(semconv.HTTPRoute(op.path)))
			}
			ctx := tracing.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
			ctx, span := tracer.Start(ctx, name, opts...)
			defer span.End()
			c.SetRequest(req.WithContext(ctx))

			err := next(c)
			status := c.Response().Status
			span.SetAttributes(semconv.HTTPResponseStatusCode(status))
			if status >= http.StatusInternalServerError {
				span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
				span.SetStatus(codes.Error, "")
			}
			return err
		}
	}
}
