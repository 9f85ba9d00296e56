// Package app wires the inventory service and runs its parts: the HTTP API, the activity worker, the outbox relay and
// the upkeep of stream, holds and idempotency keys.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

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
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/activities"
	"github.com/orderflow/orderflow/services/inventory/internal/httpapi"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// maxActivities run at once. They share the pool of database connections with the API, and those that wait for a
// connection might as well wait in the task queue, where another replica can take them.
const maxActivities = 32

// Schema is everything that the service keeps in its database.
func Schema() []postgres.Migrations {
	return []postgres.Migrations{outbox.Schema, idempotency.Schema, store.Migrations}
}

// Migrate brings the database up to date.
func Migrate(ctx context.Context, log *slog.Logger, cfg MigrateConfig) error {
	return postgres.Migrate(ctx, cfg.DatabaseURL.Reveal(), log, Schema()...)
}

// Run runs the service until ctx ends, then drains. It starts, and goes on, while the database, NATS or Temporal is
// away.
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
	nc, err := eventbus.Connect(ctx, cfg.NATSURL.Reveal(), "inventory", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	temporal, err := temporalclient.Dial(log, keys)
	if err != nil {
		return err
	}
	defer temporal.Close()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	relay := outbox.NewRelay(pool, js, log, registry)
	svc := stock.New(pool, cfg.ReservationTTL, relay.Wake, registry)
	stream := &streamKeeper{js: js}
	api, err := newAPI(svc, log, registry)
	if err != nil {
		return err
	}
	activityWorker := temporalclient.NewWorker(temporal, inventory.TaskQueue,
		worker.Options{WorkerStopTimeout: cfg.Drain, MaxConcurrentActivityExecutionSize: maxActivities}, log,
		func(r worker.Registry) { activities.Register(r, svc) })

	// The ops server outlives the others, so that it can say that they are draining.
	opsCtx, stopOps := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOps()
	parts, ctx := errgroup.WithContext(ctx)
	ops := httpserver.Ops(ctx, registry, map[string]func(context.Context) error{
		"database": pool.Ping,
		"nats":     func(context.Context) error { return eventbus.Ready(nc) },
		"stream":   stream.ready,
		"temporal": activityWorker.Ready,
	})
	opsServer := make(chan error, 1)
	go func() { opsServer <- httpserver.Serve(opsCtx, "ops", cfg.OpsAddr, ops, cfg.Drain, log) }()

	parts.Go(func() error { return httpserver.Serve(ctx, "api", cfg.HTTPAddr, api, cfg.Drain, log) })
	parts.Go(func() error { return activityWorker.Run(ctx) })
	parts.Go(func() error { return relay.Run(ctx) })
	parts.Go(func() error { return upkeep(ctx, log, svc, pool, stream) })
	parts.Go(func() error {
		// An ops server that cannot serve ends the service; otherwise it ends last.
		select {
		case err := <-opsServer:
			opsServer <- nil
			return err
		case <-ctx.Done():
			return nil
		}
	})
	err = parts.Wait()
	stopOps()
	return errors.Join(err, <-opsServer)
}

func newAPI(svc *stock.Service, log *slog.Logger, registry prometheus.Registerer) (http.Handler, error) {
	spec, err := httpapi.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("inventory: openapi: %w", err)
	}
	e := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: registry})
	httpapi.Register(e, svc)
	return e, nil
}
