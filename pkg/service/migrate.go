package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/postgres"
)

// MigrateConfig is the environment of a migration: less than the service's, so that a job may run before anything else
// is there.
type MigrateConfig struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	Log         logging.Config
}

// Validate implements config.Validator.
func (MigrateConfig) Validate() error { return nil }

// LogConfig implements Settings.
func (c MigrateConfig) LogConfig() logging.Config { return c.Log }

// Database implements MigrateSettings.
func (c MigrateConfig) Database() config.Secret { return c.DatabaseURL }

// MigrateSettings are what the commands that migrate read. Services whose schema depends on more than MigrateConfig
// embed that in their own.
type MigrateSettings interface {
	Settings
	Database() config.Secret
}

// WithMigrations adds, to a service's other commands, those that look after the schema made of sets: `migrate up`
// applies all that is pending, `migrate down` rolls back the one migration that was applied last, `migrate status`
// prints each.
func WithMigrations[S MigrateSettings](
	sets func(S) []postgres.Migrations, commands map[string]Command,
) map[string]Command {
	migrating := func(do func(context.Context, *postgres.Migrator, io.Writer) error) Command {
		return func(ctx context.Context, name string, out io.Writer) error {
			run := With(func(ctx context.Context, log *slog.Logger, settings S) error {
				m, err := postgres.OpenMigrator(settings.Database().Reveal(), log, sets(settings)...)
				if err != nil {
					return err
				}
				defer func() { _ = m.Close() }()
				return do(ctx, m, out)
			})
			return run(ctx, name, out)
		}
	}
	commands["migrate up"] = migrating(func(ctx context.Context, m *postgres.Migrator, _ io.Writer) error {
		return m.Up(ctx)
	})
	commands["migrate down"] = migrating(func(ctx context.Context, m *postgres.Migrator, _ io.Writer) error {
		return m.Down(ctx)
	})
	commands["migrate status"] = migrating(printStatus)
	return commands
}

func printStatus(ctx context.Context, m *postgres.Migrator, out io.Writer) error {
	all, err := m.Status(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, migration := range all {
		file, at := migration.File, "pending"
		if file == "" {
			file = "(of a newer program)"
		}
		if !migration.AppliedAt.IsZero() {
			at = migration.AppliedAt.Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", migration.Set, migration.Version, file, at)
	}
	return table.Flush()
}
