// Package app puts the orders service together and runs it. All wiring is here, read from top to bottom; nothing here
// decides anything about an order.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/activities"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/httpapi"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/projection"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

// Schemas is all that the service's database holds.
func Schemas() []postgres.Migrations {
	return []postgres.Migrations{outbox.Schema, idempotency.Schema, store.Migrations}
}

// Migrate brings the database up to date.
func Migrate(ctx context.Context, log *slog.Logger, cfg MigrateConfig) error {
	return postgres.Migrate(ctx, cfg.DatabaseURL.Reveal(), log, Schemas()...)
}

// Run serves until ctx ends, then drains. It starts, and stays up, while the database, NATS or Temporal are away; the
// ops port's /readyz tells. An error means that the service could not start, or could not drain in time.
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
	nc, err := eventbus.Connect(ctx, cfg.NATSURL, "orders", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("app: JetStream: %w", err)
	}
	temporal, err := temporalclient.Dial(log, keys)
	if err != nil {
		return err
	}
	defer temporal.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	relay := outbox.NewRelay(pool, js, log, registry)
	board := endings.NewBoard(pool.Config().ConnConfig, log)
	service := order.NewService(pool, keys, board, order.NewMetrics(registry), relay.Wake)
	stream := &streamKeeper{js: js, log: log}
	activityWorker := temporalclient.NewWorker(temporal, orders.TaskQueue, worker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: int(2 * pool.Config().MaxConns),
		WorkerStopTimeout:                  cfg.DrainTimeout,
	}, log, func(w worker.Registry) { activities.Register(w, service) })
	spec, err := httpapi.GetSpec()
	if err != nil {
		return fmt.Errorf("app: OpenAPI document: %w", err)
	}
	//nolint:contextcheck // Handlers have the context of their request.
	api := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: registry})
	httpapi.RegisterHandlers(api, httpapi.NewStrictHandler(httpapi.NewServer(service, log), nil))

	all, ctx := errgroup.WithContext(ctx)
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return httpserver.Serve(ctx, "api", cfg.HTTPAddr, api, cfg.DrainTimeout, log) })
	parts.Go(func() error { return activityWorker.Run(ctx) })
	parts.Go(func() error { return relay.Run(ctx) })
	parts.Go(func() error { return stream.run(ctx) })
	parts.Go(func() error { return board.Run(ctx) })
	parts.Go(func() error { return purge(ctx, pool, log) })
	for _, consumer := range projection.Consumers(service, eventbus.NewMetrics(registry), log) {
		parts.Go(func() error { return eventbus.Consume(ctx, js, log, consumer) })
	}

	// The ops port answers until all others have drained.
	ops := httpserver.Ops(ctx, registry, checks(pool, nc, stream, activityWorker))
	opsCtx, stopOps := context.WithCancel(context.WithoutCancel(ctx))
	all.Go(func() error { return httpserver.Serve(opsCtx, "ops", cfg.OpsAddr, ops, time.Second, log) })
	all.Go(func() error {
		defer stopOps()
		return parts.Wait()
	})
	return all.Wait()
}

func checks(
	pool *pgxpool.Pool, nc *nats.Conn, stream *streamKeeper, activityWorker *temporalclient.Worker,
) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"database": pool.Ping,
		"nats":     func(context.Context) error { return eventbus.Ready(nc) },
		"stream":   stream.ready,
		"worker":   activityWorker.Ready,
	}
}
