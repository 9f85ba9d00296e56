package httpserver

import (
	"log/slog"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/problem"
)

// DefaultBodyLimit is the largest body, in bytes, that an operation accepts unless its x-max-body-bytes says otherwise.
const DefaultBodyLimit = 1 << 20

// Config is what New needs. Only Spec and Log are required.
type Config struct {
	// Spec is the API's OpenAPI document, with its references resolved, as the generated GetSpec returns it.
	Spec *openapi3.T
	// Log receives a line per request, and the causes of failures.
	Log *slog.Logger
	// Registry receives the metrics. Without one they are not exposed.
	Registry prometheus.Registerer
	// BodyLimit replaces DefaultBodyLimit, in bytes.
	BodyLimit int64
	// Identify replaces DevelopmentIdentity. Its error is the answer to the request.
	Identify func(*http.Request) (caller.Caller, error)
}

// New returns a server for the operations of the document, to be handed to the generated RegisterHandlers. It panics
// when the document is missing or holds an extension of the house that cannot be read.
func New(cfg Config) *echo.Echo {
	if cfg.BodyLimit == 0 {
		cfg.BodyLimit = DefaultBodyLimit
	}
	if cfg.Identify == nil {
		cfg.Identify = DevelopmentIdentity
	}
	if cfg.Registry == nil {
		cfg.Registry = prometheus.NewRegistry()
	}
	ops := newOperations(cfg.Spec, cfg.BodyLimit)

	e := echo.New()
	e.HTTPErrorHandler = problem.ErrorHandler(cfg.Log)
	e.Binder = binder{}
	e.Use(
		traced(ops),
		observe(cfg.Log, cfg.Registry, ops),
		recoverPanics(cfg.Log),
		readableURL,
		identify(cfg.Identify),
		validate(ops, cfg.BodyLimit),
		idempotent(ops),
	)
	return e
}

func identify(who func(*http.Request) (caller.Caller, error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			found, err := who(r)
			if err != nil {
				return err
			}
			c.SetRequest(r.WithContext(caller.With(r.Context(), found)))
			return next(c)
		}
	}
}
