// Package app puts the shipping service together and keeps it running: its HTTP API, its activity worker, its outbox
// relay and the recovery of unfinished shipments. It must not hold any rule about shipments.
package app

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/activities"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/httpapi"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
	"github.com/orderflow/orderflow/services/shipping/internal/store"
)

// Commands is what the program can do.
func Commands() map[string]service.Command {
	return service.WithMigrations(func(service.MigrateConfig) []postgres.Migrations { return Schema() },
		map[string]service.Command{"serve": service.With(Run)})
}

// Schema is all that the service's database holds. The sandbox's books are in it, in a schema of their own.
func Schema() []postgres.Migrations {
	return []postgres.Migrations{outbox.Schema, idempotency.Schema, store.Migrations, sandbox.Schema}
}

// What the service waits, besides what Config says.
const (
	pollCarrier = time.Second     // Between two looks at a slow booking; the heartbeat's time-out is ten times that.
	waitByHand  = 2 * time.Second // An operator's patience.
	purgeEvery  = time.Hour
)

// Run runs the service until ctx ends, then drains it. It starts and stays up while its database, NATS or Temporal is
// away.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	p, err := service.Open(ctx, log, "shipping", cfg.Config, shipping.Stream)
	if err != nil {
		return err
	}
	defer p.Close()

	books := sandbox.New(p.Pool, cfg.SandboxSlow)
	shipments := shipment.New(p.Pool, carrier.NewGuard(books, cfg.CarrierTimeout, p.Registry),
		shipment.Timing{Call: cfg.CarrierTimeout, Poll: pollCarrier, ByHand: waitByHand}, p.Relay.Wake, log, p.Registry)
	api, err := httpapi.New(shipments, books, log, p.Registry) //nolint:contextcheck // A request brings its own.
	if err != nil {
		return err
	}
	saga := p.Worker(shipping.TaskQueue, worker.Options{
		DisableWorkflowWorker: true,
		// A cancellation arrives with the answer to a heartbeat. By default the SDK saves heartbeats up for 8 s.
		MaxHeartbeatThrottleInterval: pollCarrier,
	}, func(r worker.Registry) { activities.Register(r, shipments) })

	return p.Run(ctx, api, saga,
		shipments.Recover,
		service.Every(purgeEvery, log, "purging idempotency keys", func(ctx context.Context) error {
			_, err := idempotency.Purge(ctx, p.Pool)
			return err
		}),
	)
}
