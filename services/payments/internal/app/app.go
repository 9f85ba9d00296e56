// Package app puts the payments service together: it reads the settings, wires the parts, and runs and stops them. It
// must not hold any rule about payments.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/activities"
	"github.com/orderflow/orderflow/services/payments/internal/gateway"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/stripe"
	"github.com/orderflow/orderflow/services/payments/internal/httpapi"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
	"github.com/orderflow/orderflow/services/payments/internal/store"
)

// Commands is what the program can do.
func Commands() map[string]service.Command {
	return service.WithMigrations(func(cfg MigrateConfig) []postgres.Migrations { return Schemas(cfg.Gateway) },
		map[string]service.Command{"serve": service.With(Run)})
}

const (
	// maxActivities run at once. Most of their time they wait for the provider and hold no connection to the database.
	maxActivities = 200
	resumeEvery   = 10 * time.Second
)

// Schemas is all that the service's database holds with the given payment provider. The sandbox's books come with it
// where the sandbox is the provider.
func Schemas(provider string) []postgres.Migrations {
	sets := []postgres.Migrations{outbox.Schema, store.Migrations}
	if provider == GatewaySandbox {
		sets = append(sets, sandbox.Migrations)
	}
	return sets
}

// Run serves HTTP, runs activities, resumes refunds and publishes events until ctx ends, then drains. It starts, and
// goes on, while the database, NATS or Temporal are away.
func Run(ctx context.Context, log *slog.Logger, cfg Config) error {
	p, err := service.Open(ctx, log, "payments", cfg.Config, payments.Stream)
	if err != nil {
		return err
	}
	defer p.Close()

	provider, sb := newProvider(cfg, p.Pool)
	svc := payment.NewService(payment.Config{
		Pool: p.Pool, Gateway: gateway.Guard(provider, p.Registry), Timeout: cfg.GatewayTimeout, Margin: cfg.GatewayMargin,
		Wake: p.Relay.Wake, Registry: p.Registry,
	})
	spec, err := httpapi.GetSpec()
	if err != nil {
		return fmt.Errorf("payments: OpenAPI document: %w", err)
	}
	//nolint:contextcheck // A request is handled in its own context.
	api := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: p.Registry})
	httpapi.RegisterHandlers(api, httpapi.NewStrictHandler(httpapi.NewServer(svc, sb), nil))
	saga := p.Worker(payments.TaskQueue, worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: maxActivities,
	}, func(r worker.Registry) { activities.Register(r, svc) })
	return p.Run(ctx, api, saga, service.Every(resumeEvery, log, "resuming refunds", func(ctx context.Context) error {
		resumed, err := svc.ResumeRefunds(ctx)
		if resumed > 0 {
			log.InfoContext(ctx, "refunds resumed", "count", resumed)
		}
		return err
	}))
}

// newProvider returns the configured payment provider, and the sandbox if that is it.
func newProvider(cfg Config, pool *pgxpool.Pool) (payment.Gateway, *sandbox.Gateway) {
	if cfg.Gateway == GatewayStripe {
		return stripe.New(cfg.StripeAPIKey.Reveal(), stripe.DefaultURL), nil
	}
	sb := sandbox.New(pool)
	return sb, sb
}
