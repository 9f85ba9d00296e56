// Package app puts the shipping service together and keeps it running: its HTTP API, its activity worker, its outbox
// relay and the recovery of unfinished shipments. It must not hold any rule about shipments.
package app

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/activities"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/httpapi"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
	"github.com/orderflow/orderflow/services/shipping/internal/store"
)

// Schema is all that the service's database holds. The sandbox's books are in it, in a schema of their own.
func Schema() []postgres.Migrations {
	return []postgres.Migrations{outbox.Schema, idempotency.Schema, store.Migrations, sandbox.Schema}
}

// Migrate brings the database named by the environment up to date. Its log goes to w.
func Migrate(ctx context.Context, w io.Writer) error {
	cfg, err := config.Load[migrateConfig]()
	if err != nil {
		return err
	}
	return postgres.Migrate(ctx, cfg.DatabaseURL.Reveal(), logging.New(w, cfg.Log, "shipping"), Schema()...)
}

// Serve is Run with the configuration from the environment. Its log goes to w.
func Serve(ctx context.Context, w io.Writer) error {
	cfg, err := config.Load[Config]()
	if err != nil {
		return err
	}
	return Run(ctx, logging.New(w, cfg.Log, "shipping"), cfg)
}

// What the service waits, besides what Config says.
const (
	pollCarrier  = time.Second     // Between two looks at a slow booking; the heartbeat's time-out is ten times that.
	waitByHand   = 2 * time.Second // An operator's patience.
	retryStream  = time.Second
	purgeAnswers = time.Hour
)

// Run runs the service until ctx ends, then drains it. It starts and stays up while its database, NATS or Temporal is
// away. The parts that others lean on end last: the relay, so that the last events leave at once, and the ops server,
// which says "draining" meanwhile.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	log.InfoContext(ctx, "starting", "config", cfg)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	keys, err := seal.ParseKeyring(cfg.PayloadKeys.Reveal())
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	defer pool.Close()
	nc, err := eventbus.Connect(ctx, cfg.NATSURL.Reveal(), "shipping", log)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	temporal, err := temporalclient.Dial(log, keys)
	if err != nil {
		return err
	}
	defer temporal.Close()

	relay := outbox.NewRelay(pool, js, log, registry)
	books := sandbox.New(pool, cfg.SandboxSlow)
	shipments := shipment.New(pool, carrier.NewGuard(books, cfg.CarrierTimeout, registry),
		shipment.Timing{Call: cfg.CarrierTimeout, Poll: pollCarrier, ByHand: waitByHand}, relay.Wake, log, registry)
	api, err := httpapi.New(shipments, books, log, registry) //nolint:contextcheck // A request brings its own.
	if err != nil {
		return err
	}
	activityWorker := temporalclient.NewWorker(temporal, shipping.TaskQueue, worker.Options{
		WorkerStopTimeout: cfg.DrainTimeout,
		// A cancellation arrives with the answer to a heartbeat. By default the SDK saves heartbeats up for 8 s.
		MaxHeartbeatThrottleInterval: pollCarrier,
	}, log, func(r worker.Registry) { activities.Register(r, shipments) })
	stream := &streamKeeper{js: js, log: log}
	ops := httpserver.Ops(ctx, registry, map[string]func(context.Context) error{
		"database": pool.Ping,
		"nats":     func(context.Context) error { return eventbus.Ready(nc) },
		"stream":   stream.ready,
		"temporal": activityWorker.Ready,
	})

	lastCtx, stopLast := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLast()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return httpserver.Serve(lastCtx, "ops", cfg.OpsAddr, ops, cfg.DrainTimeout, log) })
	all.Go(func() error { return relay.Run(lastCtx) })
	all.Go(func() error {
		defer stopLast()
		first, ctx := errgroup.WithContext(ctx)
		first.Go(func() error { return httpserver.Serve(ctx, "api", cfg.HTTPAddr, api, cfg.DrainTimeout, log) })
		first.Go(func() error { return activityWorker.Run(ctx) })
		first.Go(func() error { return shipments.Recover(ctx) })
		first.Go(func() error { return stream.run(ctx) })
		first.Go(func() error {
			return every(ctx, purgeAnswers, func() {
				if _, err := idempotency.Purge(ctx, pool); err != nil {
					log.WarnContext(ctx, "cannot remove expired answers", "error", err)
				}
			})
		})
		return first.Wait()
	})
	return all.Wait()
}

func every(ctx context.Context, interval time.Duration, do func()) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			do()
		}
	}
}
