// Package app wires the orchestrator and runs its parts: the saga worker, the starter and the operators' API.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/orchestrator/internal/httpapi"
	"github.com/orderflow/orderflow/orchestrator/internal/operations"
	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/orchestrator/internal/starter"
	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
)

// Config is the orchestrator's environment, beside TEMPORAL_*.
type Config struct {
	NATSURL     string        `env:"NATS_URL,required,notEmpty"`
	HTTPAddr    string        `env:"HTTP_ADDR" envDefault:":8080"`
	OpsAddr     string        `env:"OPS_ADDR" envDefault:":9090"`
	Drain       time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	PayloadKeys config.Secret `env:"PAYLOAD_KEYS,required,notEmpty"`
	// CompensationAttempts is how often an undo is tried before it is parked for an operator.
	CompensationAttempts int32 `env:"COMPENSATION_ATTEMPTS" envDefault:"10"`
	// CodecOrigin is the web origin of the Temporal UI that may have payloads decrypted. Empty: none may.
	CodecOrigin string `env:"CODEC_ORIGIN"`
	Log         logging.Config
}

// Validate reports what does not fit together.
func (c Config) Validate() error {
	var problems []error
	if c.Drain <= 0 {
		problems = append(problems, errors.New("DRAIN_TIMEOUT must be positive"))
	}
	if c.CompensationAttempts < 1 {
		problems = append(problems, errors.New("COMPENSATION_ATTEMPTS must be at least 1"))
	}
	if _, err := seal.ParseKeyring(c.PayloadKeys.Reveal()); err != nil {
		problems = append(problems, fmt.Errorf("PAYLOAD_KEYS: %w", err))
	}
	return errors.Join(problems...)
}

// Run runs the orchestrator until ctx ends, then drains.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	keys, err := seal.ParseKeyring(cfg.PayloadKeys.Reveal())
	if err != nil {
		return err
	}
	temporal, err := temporalclient.Dial(log, keys)
	if err != nil {
		return err
	}
	defer temporal.Close()
	nc, err := eventbus.Connect(ctx, cfg.NATSURL, "orchestrator", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("orchestrator: %w", err)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	sagas := newWorker(temporal, cfg, log)
	api, err := newAPI(temporal, keys, cfg, log, registry)
	if err != nil {
		return err
	}

	// The ops server outlives the others, so that it can say that they are draining.
	opsCtx, stopOps := context.WithCancel(context.WithoutCancel(ctx))
	ops := httpserver.Ops(ctx, registry, map[string]func(context.Context) error{
		"nats": func(context.Context) error {
			if !nc.IsConnected() {
				return nats.ErrConnectionClosed
			}
			return nil
		},
		"temporal": sagas.Ready,
	})
	var opsServer errgroup.Group
	opsServer.Go(func() error { return httpserver.Serve(opsCtx, "ops", cfg.OpsAddr, ops, cfg.Drain, log) })

	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return httpserver.Serve(ctx, "api", cfg.HTTPAddr, api, cfg.Drain, log) })
	parts.Go(func() error { return sagas.Run(ctx) })
	parts.Go(func() error {
		return eventbus.Consume(ctx, js, log, starter.New(temporal, keys).Consumer())
	})
	err = parts.Wait()
	stopOps()
	return errors.Join(err, opsServer.Wait())
}

func newWorker(c client.Client, cfg Config, log *slog.Logger) *temporalclient.Worker {
	settings := saga.Settings{CompensationAttempts: cfg.CompensationAttempts}
	return temporalclient.NewWorker(c, saga.TaskQueue, worker.Options{WorkerStopTimeout: cfg.Drain}, log,
		func(r worker.Registry) {
			r.RegisterWorkflowWithOptions(settings.OrderSaga, workflow.RegisterOptions{Name: saga.WorkflowType})
		})
}

func newAPI(
	c client.Client, keys seal.Keyring, cfg Config, log *slog.Logger, registry *prometheus.Registry,
) (http.Handler, error) {
	spec, err := httpapi.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("orchestrator: openapi: %w", err)
	}
	e := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: registry})
	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(httpapi.NewServer(operations.New(c)), nil))
	if cfg.CodecOrigin == "" {
		return e, nil
	}
	mux := http.NewServeMux()
	mux.Handle("/", e)
	mux.Handle("/v1/codec/", codecServer(keys, cfg.CodecOrigin))
	return mux, nil
}

// codecServer lets the Temporal UI of one origin show sealed payloads in the clear.
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
		case r.Header.Get("Origin") != origin:
			http.Error(w, "payloads are decoded for the Temporal UI only", http.StatusForbidden)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxCodecBody)
			codec.ServeHTTP(w, r)
		}
	})
}

const maxCodecBody = 8 << 20

// Migrate prepares the Temporal namespace: it registers the search attribute that lists sagas by state. It is
// repeatable.
func Migrate(ctx context.Context, log *slog.Logger, cfg Config) error {
	keys, err := seal.ParseKeyring(cfg.PayloadKeys.Reveal())
	if err != nil {
		return err
	}
	c, err := temporalclient.Dial(log, keys)
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
