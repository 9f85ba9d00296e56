// Package app puts the inventory service together and runs it. It decides nothing about stock.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/activities"
	"github.com/orderflow/orderflow/services/inventory/internal/httpapi"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// Config is what the service reads from its environment.
type Config struct {
	service.Config
	// ReservationTTL is how long stock is held for an order that nobody commits. It must outlast the saga, which may take
	// 70 minutes from the hold to the commit: 20 to authorize, 30 to book the carrier and 20 to capture. A hold that
	// expires before can be sold to another order, after this one was paid for. The rest is for workers that were down.
	ReservationTTL time.Duration `env:"RESERVATION_TTL" envDefault:"2h"`
}

// Validate implements config.Validator.
func (c Config) Validate() error {
	err := c.Config.Validate()
	if c.ReservationTTL < time.Second {
		err = errors.Join(err, errors.New("RESERVATION_TTL must be at least 1s"))
	}
	return err
}

// Commands is what the program can do.
func Commands() map[string]service.Command {
	return service.WithMigrations(func(service.MigrateConfig) []postgres.Migrations { return Schema() },
		map[string]service.Command{"serve": service.With(Run)})
}

// Schema is all that the service's database holds.
func Schema() []postgres.Migrations {
	return []postgres.Migrations{outbox.Schema, idempotency.Schema, store.Migrations}
}

const (
	// maxActivities is twice the connections of the pool: more would only wait for one.
	maxActivities = 32
	expireEvery   = 30 * time.Second
	purgeEvery    = time.Hour
	measureEvery  = 15 * time.Second
)

// Run serves HTTP and activities, publishes events and expires reservations until ctx ends, then drains. It starts and
// stays up while the database, NATS or Temporal are away.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	p, err := service.Open(ctx, log, "inventory", cfg.Config, inventory.Stream)
	if err != nil {
		return err
	}
	defer p.Close()

	svc := stock.New(p.Pool, cfg.ReservationTTL, p.Relay.Wake, p.Registry)
	api, err := newAPI(svc, log, p.Registry) //nolint:contextcheck // Handlers have the context of their request.
	if err != nil {
		return err
	}
	saga := p.Worker(inventory.TaskQueue, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: maxActivities,
	}, func(r worker.Registry) { activities.Register(r, svc) })

	return p.Run(ctx, api, saga,
		service.Every(expireEvery, log, "expiring reservations", func(ctx context.Context) error {
			return expireAll(ctx, log, svc)
		}),
		service.Every(measureEvery, log, "counting reservations", svc.Measure),
		service.Every(purgeEvery, log, "purging idempotency keys", func(ctx context.Context) error {
			_, err := idempotency.Purge(ctx, p.Pool)
			return err
		}),
	)
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

// expireAll releases what is overdue, batch by batch. Several replicas may be at it at once.
func expireAll(ctx context.Context, log *slog.Logger, svc *stock.Service) error {
	for {
		expired, err := svc.Expire(ctx)
		if err != nil {
			return err
		}
		if expired > 0 {
			log.InfoContext(ctx, "reservations expired", "count", expired)
		}
		if expired < stock.ExpireBatch {
			return nil
		}
	}
}
