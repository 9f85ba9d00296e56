// Package app wires the orchestrator and runs its parts: the saga worker, the starter and the operators' API.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/orchestrator/internal/httpapi"
	"github.com/orderflow/orderflow/orchestrator/internal/operations"
	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/orchestrator/internal/starter"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/pkg/temporalclient"
)

// Config is what the orchestrator reads from its environment.
type Config struct {
	service.EdgeConfig
	VersionConfig
	// CompensationAttempts is how often an undo is tried before it is parked for an operator.
	CompensationAttempts int32 `env:"COMPENSATION_ATTEMPTS" envDefault:"10"`
	// CodecOrigin is the web origin of the Temporal UI that may have payloads decrypted. Empty: none may. Until callers
	// are authenticated, browsers on other machines may not either.
	CodecOrigin string `env:"CODEC_ORIGIN"`
}

// Validate implements config.Validator.
func (c Config) Validate() error {
	err := errors.Join(c.EdgeConfig.Validate(), c.VersionConfig.Validate())
	if c.CompensationAttempts < 1 {
		err = errors.Join(err, errors.New("COMPENSATION_ATTEMPTS must be at least 1"))
	}
	return err
}

// Commands is what the program can do.
func Commands() map[string]service.Command {
	return map[string]service.Command{"serve": service.With(Run), "migrate up": service.With(Migrate)}
}

// Run runs the orchestrator until ctx ends, then drains.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	edge, err := service.OpenEdge(ctx, log, "orchestrator", cfg.EdgeConfig)
	if err != nil {
		return err
	}
	defer edge.Close()

	settings := saga.Settings{CompensationAttempts: cfg.CompensationAttempts}
	sagas := edge.Worker(saga.TaskQueue, worker.Options{DeploymentOptions: cfg.deployment()}, func(r worker.Registry) {
		settings.Register(r)
	})
	ops := operations.New(edge.Temporal)
	api, err := newAPI(edge, ops, cfg.CodecOrigin) //nolint:contextcheck // Handlers have the context of their request.
	if err != nil {
		return err
	}
	starts := starter.New(edge.Temporal, edge.Keys).Consumer()
	starts.Metrics = eventbus.NewMetrics(edge.Registry)
	open := operations.NewMetrics(edge.Registry)
	return edge.Run(ctx, api, sagas, nil, nil,
		func(ctx context.Context) error { return eventbus.Consume(ctx, edge.JetStream, log, starts) },
		service.Every(measureEvery, log, "counting sagas", func(ctx context.Context) error {
			return ops.Measure(ctx, open)
		}),
	)
}

// measureEvery is how often Temporal is asked for the numbers of open sagas.
const measureEvery = 15 * time.Second

func newAPI(edge *service.Edge, ops *operations.Operations, codecOrigin string) (http.Handler, error) {
	spec, err := httpapi.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("orchestrator: openapi: %w", err)
	}
	e := httpserver.New(httpserver.Config{Spec: spec, Log: edge.Log, Registry: edge.Registry})
	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(httpapi.NewServer(ops), nil))
	if codecOrigin == "" {
		return e, nil
	}
	mux := http.NewServeMux()
	mux.Handle("/", e)
	mux.Handle("/v1/codec/", codecServer(edge.Keys, codecOrigin))
	return mux, nil
}

// codecServer lets the Temporal UI of one origin show sealed payloads in the clear, to browsers on this machine. An
// Origin is easily forged by what is no browser, so it alone opens nothing.
func codecServer(keys seal.Keyring, origin string) http.Handler {
	codec := http.StripPrefix("/v1/codec", converter.NewPayloadCodecHTTPHandler(keys.Codec()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Content-Type, X-Namespace")
		h.Set("Vary", "Origin")
		switch {
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		case r.Header.Get("Origin") != origin || !fromThisMachine(r):
			http.Error(w, "payloads are decoded for the Temporal UI only", http.StatusForbidden)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxCodecBody)
			codec.ServeHTTP(w, r)
		}
	})
}

const maxCodecBody = 8 << 20

func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// MigrateConfig is what a migration reads: Temporal is set by TEMPORAL_* variables, and nothing else is needed.
type MigrateConfig struct {
	Log logging.Config
}

// Validate implements config.Validator.
func (MigrateConfig) Validate() error { return nil }

// LogConfig implements service.Settings.
func (c MigrateConfig) LogConfig() logging.Config { return c.Log }

// Migrate prepares the Temporal namespace: it registers the search attribute that lists sagas by state. It is
// repeatable.
func Migrate(ctx context.Context, log *slog.Logger, _ MigrateConfig) error {
	c, err := temporalclient.Dial(log, seal.Keyring{}, nil) // It sends no payload, so it needs no key.
	if err != nil {
		return err
	}
	defer c.Close()
	namespace, err := temporalclient.Namespace()
	if err != nil {
		return err
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace,
		SearchAttributes: map[string]enumspb.IndexedValueType{
			saga.SearchAttribute.GetName(): enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		},
	})
	if _, exists := errors.AsType[*serviceerror.AlreadyExists](err); err != nil && !exists {
		return fmt.Errorf("orchestrator: register search attributes: %w", err)
	}
	log.InfoContext(ctx, "search attributes are registered", "namespace", namespace)
	return nil
}
