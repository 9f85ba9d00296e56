// Package service is what all programs of Orderflow have in common: commands and their settings, what a service stands
// on, and the order in which its parts start and drain. It must not know any service's domain.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/IBM/pgxpoolprometheus"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
	"github.com/orderflow/orderflow/pkg/tracing"
)

// EdgeConfig is the environment of every program: how it is reached, how it reaches NATS, what it seals with. The
// connection to Temporal is set by TEMPORAL_* variables.
type EdgeConfig struct {
	NATSURL  config.Secret `env:"NATS_URL,required,notEmpty"`
	HTTPAddr string        `env:"HTTP_ADDR" envDefault:":8080"`
	OpsAddr  string        `env:"OPS_ADDR" envDefault:":9090"`
	// DrainDelay is how long requests are still taken after the program was told to stop: until load balancers know.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
	// DrainTimeout is how long requests, activities and events in hand may take to finish when the program stops.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	// PayloadKeys is the platform's keyring, as seal.ParseKeyring reads it.
	PayloadKeys config.Secret `env:"PAYLOAD_KEYS,required,notEmpty"`
	Log         logging.Config
}

// Validate implements config.Validator.
func (c EdgeConfig) Validate() error {
	var problems []error
	if _, err := seal.ParseKeyring(c.PayloadKeys.Reveal()); err != nil {
		problems = append(problems, fmt.Errorf("PAYLOAD_KEYS: %w", err))
	}
	if c.DrainTimeout <= 0 {
		problems = append(problems, errors.New("DRAIN_TIMEOUT must be positive"))
	}
	if c.DrainDelay < 0 {
		problems = append(problems, errors.New("DRAIN_DELAY must not be negative"))
	}
	return errors.Join(problems...)
}

// LogConfig implements Settings.
func (c EdgeConfig) LogConfig() logging.Config { return c.Log }

// Config is the environment of every domain service. Each embeds it in its own.
type Config struct {
	EdgeConfig
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
}

// Edge is what every program stands on. All of it connects by itself, later and again, so that a program starts and
// stays up while NATS or Temporal is away.
type Edge struct {
	Log       *slog.Logger
	Keys      seal.Keyring
	NATS      *nats.Conn
	JetStream jetstream.JetStream
	Temporal  client.Client
	Registry  *prometheus.Registry

	cfg         EdgeConfig
	stopTracing func()
}

// OpenEdge returns the edge of the named program. The caller closes it.
func OpenEdge(ctx context.Context, log *slog.Logger, name string, cfg EdgeConfig) (*Edge, error) {
	keys, err := seal.ParseKeyring(cfg.PayloadKeys.Reveal())
	if err != nil {
		return nil, err
	}
	release, _ := Version()
	stopTracing, err := tracing.Start(ctx, log, name, release)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector())
	temporal, err := temporalclient.Dial(log, keys, registry)
	if err != nil {
		return nil, err
	}
	nc, err := eventbus.Connect(ctx, cfg.NATSURL.Reveal(), name, log)
	if err != nil {
		temporal.Close()
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		temporal.Close()
		nc.Close()
		return nil, fmt.Errorf("service: JetStream: %w", err)
	}
	return &Edge{
		Log: log, Keys: keys, NATS: nc, JetStream: js, Temporal: temporal, Registry: registry, cfg: cfg,
		stopTracing: func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
			defer cancel()
			if err := stopTracing(ctx); err != nil {
				log.WarnContext(ctx, "the last spans are lost", "error", err)
			}
		},
	}, nil
}

// Close closes all connections, and sends the spans that are left.
func (e *Edge) Close() {
	e.NATS.Close()
	e.Temporal.Close()
	e.stopTracing()
}

// Worker returns a worker of the program's task queue, which drains as long as the program does.
func (e *Edge) Worker(queue string, options worker.Options, register func(worker.Registry)) *temporalclient.Worker {
	options.WorkerStopTimeout = e.cfg.DrainTimeout
	return temporalclient.NewWorker(e.Temporal, queue, options, e.Log, register)
}

// farewell is how long the program's last spans may take to leave.
const farewell = 3 * time.Second

// Check is a condition of readiness.
type Check = httpserver.Check

// Run serves the API, works, and does the other parts until ctx ends; then it drains. checks are conditions of
// readiness beside those of the edge itself; leanedOn runs on until all else has drained.
func (e *Edge) Run(
	ctx context.Context, api http.Handler, w *temporalclient.Worker,
	checks map[string]Check, leanedOn []Part, parts ...Part,
) error {
	ready := map[string]Check{
		"nats":   func(context.Context) error { return eventbus.Ready(e.NATS) },
		"worker": w.Ready,
	}
	for name, check := range checks {
		ready[name] = check
	}
	ops := httpserver.Ops(ctx, e.Registry, ready)
	leanedOn = append(leanedOn, func(ctx context.Context) error {
		return httpserver.Serve(ctx, "ops", e.cfg.OpsAddr, ops, httpserver.Drain{Limit: time.Second}, e.Log)
	})
	parts = append(parts, w.Run, func(ctx context.Context) error {
		drain := httpserver.Drain{Notice: e.cfg.DrainDelay, Limit: e.cfg.DrainTimeout}
		return httpserver.Serve(ctx, "api", e.cfg.HTTPAddr, api, drain, e.Log)
	})
	return Run(ctx, leanedOn, parts...)
}

// Platform is what a domain service stands on: the edge, a database, and a stream of its own that the outbox feeds.
type Platform struct {
	*Edge
	Pool  *pgxpool.Pool
	Relay *outbox.Relay

	stream  contract.Stream
	ensured atomic.Bool
}

// Open returns the platform of the named service. The caller closes it.
func Open(
	ctx context.Context, log *slog.Logger, name string, cfg Config, stream contract.Stream,
) (*Platform, error) {
	edge, err := OpenEdge(ctx, log, name, cfg.EdgeConfig)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL.Reveal())
	if err != nil {
		edge.Close()
		return nil, err
	}
	edge.Registry.MustRegister(pgxpoolprometheus.NewCollector(pool, nil))
	return &Platform{
		Edge: edge, Pool: pool, stream: stream, Relay: outbox.NewRelay(pool, edge.JetStream, log, edge.Registry),
	}, nil
}

// Close closes all connections.
func (p *Platform) Close() {
	p.Edge.Close()
	p.Pool.Close()
}

// Run is Edge.Run with the relay and the stream.
func (p *Platform) Run(ctx context.Context, api http.Handler, w *temporalclient.Worker, parts ...Part) error {
	checks := map[string]Check{"database": p.Pool.Ping, "stream": p.streamReady}
	parts = append(parts, Every(streamCheck, p.Log, "ensuring the stream", p.ensureStream))
	return p.Edge.Run(ctx, api, w, checks, []Part{p.Relay.Run}, parts...)
}

// streamCheck is how soon a stream that an operator lost is there again.
const streamCheck = time.Minute

var errNoStream = errs.New(errs.Unavailable, "stream_not_ensured", "The stream of events is not there yet.")

func (p *Platform) ensureStream(ctx context.Context) error {
	if err := eventbus.EnsureStream(ctx, p.JetStream, p.stream); err != nil {
		return err
	}
	p.ensured.Store(true)
	return nil
}

func (p *Platform) streamReady(context.Context) error {
	if !p.ensured.Load() {
		return errNoStream
	}
	return nil
}
