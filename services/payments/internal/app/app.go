// Package app puts the payments service together: it reads the settings, wires the parts, and runs and stops them. It
// must not hold any rule about payments.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/activities"
	"github.com/orderflow/orderflow/services/payments/internal/gateway"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/stripe"
	"github.com/orderflow/orderflow/services/payments/internal/httpapi"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
	"github.com/orderflow/orderflow/services/payments/internal/store"
)

// maxActivities run at once. Most of their time they wait for the provider and hold no connection to the database.
const maxActivities = 200

// Migrate brings the database up to date. The sandbox's books come with it where the sandbox is the provider.
func Migrate(ctx context.Context, log *slog.Logger, cfg MigrateConfig) error {
	return postgres.Migrate(ctx, cfg.DatabaseURL.Reveal(), log, Schemas(cfg.Gateway)...)
}

// Schemas is all that the service's database holds with the given payment provider.
func Schemas(provider string) []postgres.Migrations {
	sets := []postgres.Migrations{outbox.Schema, store.Migrations}
	if provider == GatewaySandbox {
		sets = append(sets, sandbox.Migrations)
	}
	return sets
}

// Run serves HTTP, runs activities and publishes events until ctx ends, then drains. It starts, and goes on, while the
// database, NATS or Temporal are away.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	keys, err := seal.ParseKeyring(cfg.PayloadKeys.Reveal())
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	defer pool.Close()
	nc, err := eventbus.Connect(ctx, cfg.NATSURL.Reveal(), "payments", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("payments: JetStream: %w", err)
	}
	temporal, err := temporalclient.Dial(log, keys)
	if err != nil {
		return err
	}
	defer temporal.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	relay := outbox.NewRelay(pool, js, log, registry)
	provider, sb := newProvider(cfg, pool)
	svc := payment.NewService(payment.Config{
		Pool: pool, Gateway: gateway.Guard(provider, registry), Timeout: cfg.GatewayTimeout, Margin: cfg.GatewayMargin,
		Wake: relay.Wake, Registry: registry,
	})
	//nolint:contextcheck // A request is handled in its own context.
	api, err := newAPI(httpapi.NewServer(svc, sb), log, registry)
	if err != nil {
		return err
	}
	sagaWorker := temporalclient.NewWorker(temporal, payments.TaskQueue, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: maxActivities, WorkerStopTimeout: cfg.DrainTimeout,
	}, log, func(r worker.Registry) { activities.Register(r, svc) })
	stream := &stream{js: js, log: log}

	// The ops port answers until all others have drained, and says so meanwhile. Without it the service does not run.
	opsCtx, stopOps := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOps()
	ctx, stopParts := context.WithCancel(ctx)
	defer stopParts()
	ops := httpserver.Ops(ctx, registry, map[string]func(context.Context) error{
		"database": pool.Ping,
		"nats":     func(context.Context) error { return eventbus.Ready(nc) },
		"stream":   stream.ready,
		"temporal": sagaWorker.Ready,
	})
	opsServer := make(chan error, 1)
	go func() {
		opsServer <- httpserver.Serve(opsCtx, "ops", cfg.OpsAddr, ops, cfg.DrainTimeout, log)
		stopParts()
	}()

	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return httpserver.Serve(ctx, "api", cfg.HTTPAddr, api, cfg.DrainTimeout, log) })
	parts.Go(func() error { return sagaWorker.Run(ctx) })
	parts.Go(func() error { return relay.Run(ctx) })
	parts.Go(func() error { return stream.keep(ctx) })
	err = parts.Wait()
	stopOps()
	return errors.Join(err, <-opsServer)
}

func newAPI(server *httpapi.Server, log *slog.Logger, registry prometheus.Registerer) (http.Handler, error) {
	spec, err := httpapi.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("payments: OpenAPI document: %w", err)
	}
	e := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: registry})
	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(server, nil))
	return e, nil
}

// newProvider returns the configured payment provider, and the sandbox if that is it.
func newProvider(cfg Config, pool *pgxpool.Pool) (payment.Gateway, *sandbox.Gateway) {
	if cfg.Gateway == GatewayStripe {
		return stripe.New(cfg.StripeAPIKey.Reveal(), stripe.DefaultURL), nil
	}
	sb := sandbox.New(pool)
	return sb, sb
}
