// Package app puts the orders service together and runs it. All wiring is here, read from top to bottom; nothing here
// decides anything about an order.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/activities"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/httpapi"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/projection"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

// Commands is what the program can do.
func Commands() map[string]service.Command {
	return service.WithMigrations(func(service.MigrateConfig) []postgres.Migrations { return Schemas() },
		map[string]service.Command{"serve": service.With(Run)})
}

// Schemas is all that the service's database holds.
func Schemas() []postgres.Migrations {
	return []postgres.Migrations{outbox.Schema, idempotency.Schema, store.Migrations}
}

// watchdog says how often orders are looked for that have heard nothing of their saga, and for how long they may not.
type watchdog struct{ every, silence time.Duration }

// Run serves until ctx ends, then drains. It starts, and stays up, while the database, NATS or Temporal are away; the
// ops port's /readyz tells. An error means that the service could not start, or could not drain in time.
func Run(ctx context.Context, log *slog.Logger, cfg service.Config) error {
	// The silence is longer than a saga takes whose services are well, and longer than the stream remembers the id of an
	// event: one that comes again sooner is dropped.
	return run(ctx, log, cfg, watchdog{every: time.Minute, silence: 15 * time.Minute})
}

func run(ctx context.Context, log *slog.Logger, cfg service.Config, watch watchdog) error {
	p, err := service.Open(ctx, log, "orders", cfg, orders.Stream)
	if err != nil {
		return err
	}
	defer p.Close()

	board := endings.NewBoard(order.Settled(p.Pool), log)
	svc := order.NewService(p.Pool, p.Keys, board, order.NewMetrics(p.Registry), p.Relay.Wake)
	spec, err := httpapi.GetSpec()
	if err != nil {
		return fmt.Errorf("app: OpenAPI document: %w", err)
	}
	//nolint:contextcheck // Handlers have the context of their request.
	api := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: p.Registry})
	httpapi.RegisterHandlers(api, httpapi.NewStrictHandler(httpapi.NewServer(svc, log), nil))
	saga := p.Worker(orders.TaskQueue, worker.Options{
		DisableWorkflowWorker:              true,
		MaxConcurrentActivityExecutionSize: int(2 * p.Pool.Config().MaxConns),
	}, func(w worker.Registry) { activities.Register(w, svc) })

	parts := []service.Part{
		board.Run,
		service.Every(time.Hour, log, "purging idempotency keys", func(ctx context.Context) error {
			_, err := idempotency.Purge(ctx, p.Pool)
			return err
		}),
		service.Every(15*time.Second, log, "counting open orders", svc.Measure),
		service.Every(watch.every, log, "announcing orders again", func(ctx context.Context) error {
			announced, err := svc.AnnounceAgain(ctx, watch.silence)
			if len(announced) > 0 {
				log.WarnContext(ctx, "orders that have not settled for long are announced again",
					"orders", len(announced), "oldest", announced[0], "silence", watch.silence)
			}
			return err
		}),
	}
	for _, consumer := range projection.Consumers(svc, eventbus.NewMetrics(p.Registry), log) {
		parts = append(parts, func(ctx context.Context) error { return eventbus.Consume(ctx, p.JetStream, log, consumer) })
	}
	return p.Run(ctx, api, saga, parts...)
}
