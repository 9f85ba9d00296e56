package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrations is one independently versioned part of a schema: a service's own tables, or those of a package that it
// uses.
type Migrations struct {
	// Name is unique in a database and part of the name of the version table, "goose_<name>".
	Name string
	// FS holds goose's SQL files, at its root or in a folder "migrations".
	FS fs.FS
}

// Files returns the folder of FS that holds the SQL files.
func (m Migrations) Files() (fs.FS, error) {
	if info, err := fs.Stat(m.FS, "migrations"); err == nil && info.IsDir() {
		return fs.Sub(m.FS, "migrations")
	}
	return m.FS, nil
}

// Migrate brings the database up to date, one set after the other, in the order given. Processes that start at the same
// time wait for each other.
func Migrate(ctx context.Context, dsn string, log *slog.Logger, sets ...Migrations) error {
	// Not the settings of Open: a migration may need longer than a request's statement.
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("read the database URL: %w", err)
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { _ = db.Close() }()

	for _, set := range sets {
		if err := migrate(ctx, db, log, set); err != nil {
			return Interpret(fmt.Errorf("migrate %s: %w", set.Name, err))
		}
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB, log *slog.Logger, set Migrations) error {
	files, err := set.Files()
	if err != nil {
		return err
	}
	// Every second, for five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName("goose_"+set.Name),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
	)
	if err != nil {
		return err
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		return err
	}
	for _, m := range applied {
		log.InfoContext(ctx, "migrated", "set", set.Name, "version", m.Source.Version, "took", m.Duration)
	}
	return nil
}
