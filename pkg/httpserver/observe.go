package httpserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/problem"
	"github.com/orderflow/orderflow/pkg/tracing"
)

// unmatched is the route of requests that no operation answers; their paths are the client's and without number.
const unmatched = "unmatched"

const maxRequestID = 128

// observe gives every request an id, answers its error, and then logs and measures it. It never logs query values,
// which may be personal data.
func observe(log *slog.Logger, registry prometheus.Registerer, ops operations) echo.MiddlewareFunc {
	duration := register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_request_duration_seconds",
		Help:    "How long requests took, by route, method and class of status.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"route", "method", "code"}))

	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			id := requestID(c.Request())
			c.Response().Header().Set(echo.HeaderXRequestID, id)

			if err := next(c); err != nil {
				c.Error(err)
			}

			took, req, status := time.Since(start), c.Request(), c.Response().Status
			route, method := unmatched, "other"
			if op := ops.of(c); op != nil {
				route, method = op.path, req.Method
			}
			tracing.Observe(req.Context(),
				duration.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx"), took.Seconds())
			attrs := []slog.Attr{
				slog.String("method", req.Method), slog.String("route", route), slog.Int("status", status),
				slog.Duration("duration", took), slog.Int64("bytes", c.Response().Size), slog.String("request_id", id),
			}
			if code, ok := c.Get(problem.CodeKey).(string); ok {
				attrs = append(attrs, slog.String("code", code))
			}
			log.LogAttrs(req.Context(), slog.LevelInfo, "request", attrs...)
			return nil
		}
	}
}

// register returns the collector that the registry has already, when two servers of one process share a registry.
func register[C prometheus.Collector](registry prometheus.Registerer, collector C) C {
	err := registry.Register(collector)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	return collector
}

// requestID takes over the id that a proxy or a client gave, unless it could spoil a log.
func requestID(r *http.Request) string {
	if id := r.Header.Get(echo.HeaderXRequestID); len(id) <= maxRequestID && visibleASCII(id) {
		return id
	}
	return uuid.NewString()
}

// recoverPanics turns a panic into an internal failure, whose stack goes to the log only.
func recoverPanics(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			defer func() {
				p := recover()
				if p == nil {
					return
				}
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares this very value.
					panic(p)
				}
				log.LogAttrs(c.Request().Context(), slog.LevelError, "panic", slog.Any("panic", p),
					slog.String("request_id", c.Response().Header().Get(echo.HeaderXRequestID)),
					slog.String("stack", string(debug.Stack())))
				if c.Response().Committed {
					panic(http.ErrAbortHandler) // Half an answer must not look like a whole one.
				}
				err = fmt.Errorf("panic: %v", p)
			}()
			return next(c)
		}
	}
}
