package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Whoever waits for a lock on a table makes all who come later wait behind it, so a migration gives up soon, lets them
// pass, and tries again.
const (
	migrationLockTimeout      = "2s"
	firstLockPause            = 500 * time.Millisecond
	lastLockPause             = 10 * time.Second
	lockPatience              = 5 * time.Minute
	migrationStatementTimeout = "1h" // A statement that takes longer hangs.
)

// Migrator changes the schema of one database. Several that work on it at the same time wait for each other.
type Migrator struct {
	db   *sql.DB
	log  *slog.Logger
	sets []Migrations
}

// OpenMigrator returns the migrator of the database that dsn names, whose schema is made of these sets. The database
// may be away until it is needed. The caller closes the migrator.
//
// A migration waits 2 s for a lock, and its statements run for an hour at most, unless the dsn says otherwise. One that
// did not get its lock is tried again for five minutes. What builds an index concurrently, outside of a transaction,
// waits for as long as it takes: nobody waits behind it.
func OpenMigrator(dsn string, log *slog.Logger, sets ...Migrations) (*Migrator, error) {
	// Not the settings of Open: a migration may need longer than a request's statement.
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	setDefault(cfg.RuntimeParams, "lock_timeout", migrationLockTimeout)
	setDefault(cfg.RuntimeParams, "statement_timeout", migrationStatementTimeout)
	return &Migrator{db: stdlib.OpenDB(*cfg), log: log, sets: sets}, nil
}

// Close ends the migrator's connections.
func (m *Migrator) Close() error { return m.db.Close() }

// Migrate brings the database up to date. It is Up of a migrator that it opens and closes.
func Migrate(ctx context.Context, dsn string, log *slog.Logger, sets ...Migrations) error {
	m, err := OpenMigrator(dsn, log, sets...)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return m.Up(ctx)
}

// Up applies all pending migrations, one set after the other in the order given to OpenMigrator.
func (m *Migrator) Up(ctx context.Context) error {
	for {
		if more, err := m.Step(ctx); err != nil || !more {
			return err
		}
	}
}

// Step applies the next pending migration, and reports whether there was one.
func (m *Migrator) Step(ctx context.Context) (bool, error) {
	all, err := m.Status(ctx)
	if err != nil {
		return false, err
	}
	newest := map[string]int64{}
	for _, migration := range all {
		if !migration.AppliedAt.IsZero() {
			newest[migration.Set] = max(newest[migration.Set], migration.Version)
		}
	}
	i := slices.IndexFunc(all, func(migration Migration) bool { return migration.AppliedAt.IsZero() })
	if i < 0 {
		return false, nil
	}
	next := all[i]
	if next.Version < newest[next.Set] {
		return false, fmt.Errorf("migrate %s: %s comes after version %d, which is applied: give it a higher number",
			next.Set, next.File, newest[next.Set])
	}
	err = m.run(ctx, next, true)
	if errors.Is(err, goose.ErrAlreadyApplied) {
		return true, nil // Another process did, just now.
	}
	return true, err
}

// ErrNothingApplied says that there is no migration to roll back.
var ErrNothingApplied = errors.New("no migration is applied")

// Down rolls back the one migration that was applied last, of all sets. It refuses one that the program does not know,
// and never takes another one instead.
func (m *Migrator) Down(ctx context.Context) error {
	all, err := m.Status(ctx)
	if err != nil {
		return err
	}
	var last Migration
	for _, migration := range all {
		// Of two at the same time the later one in order is the newer one.
		if !migration.AppliedAt.IsZero() && !migration.AppliedAt.Before(last.AppliedAt) {
			last = migration
		}
	}
	switch {
	case last.AppliedAt.IsZero():
		return ErrNothingApplied
	case last.File == "":
		return fmt.Errorf("roll back %s: version %d was applied by a newer program, which alone can roll it back",
			last.Set, last.Version)
	}
	return m.run(ctx, last, false)
}

// Status returns every migration, those of one set after the other in the order of their versions, and changes nothing.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	var all []Migration
	for _, set := range m.sets {
		migrations, err := set.List()
		if err != nil {
			return nil, fmt.Errorf("migrations of %s: %w", set.Name, err)
		}
		applied, err := m.applied(ctx, set)
		if err != nil {
			return nil, Interpret(fmt.Errorf("migrations of %s: %w", set.Name, err))
		}
		for i, migration := range migrations {
			migrations[i].AppliedAt = applied[migration.Version]
			delete(applied, migration.Version)
		}
		for version, at := range applied {
			migrations = append(migrations, Migration{Set: set.Name, Version: version, AppliedAt: at})
		}
		slices.SortFunc(migrations, byVersion)
		all = append(all, migrations...)
	}
	return all, nil
}

// applied returns when each version of the set was applied.
func (m *Migrator) applied(ctx context.Context, set Migrations) (map[int64]time.Time, error) {
	var exists bool
	table := pgx.Identifier{versionTable(set)}.Sanitize()
	if err := m.db.QueryRowContext(ctx, "select to_regclass($1) is not null", table).Scan(&exists); err != nil {
		return nil, err
	}
	if !exists {
		return map[int64]time.Time{}, nil
	}
	// goose keeps times in the session's time zone; version 0 is its own.
	query := "select version_id, tstamp::timestamptz from " + table + " where version_id > 0" //nolint:gosec // quoted
	rows, err := m.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	applied := map[int64]time.Time{}
	for rows.Next() {
		var version int64
		var at time.Time
		if err := rows.Scan(&version, &at); err != nil {
			return nil, err
		}
		applied[version] = at.UTC()
	}
	return applied, rows.Err()
}

// run applies a migration, or rolls it back, and tries again for as long as others hold what it has to lock.
func (m *Migrator) run(ctx context.Context, migration Migration, up bool) error {
	does, did := "migrate", "migrated"
	if !up {
		does, did = "roll back", "rolled back"
	}
	begun, pause := time.Now(), firstLockPause
	for {
		err := m.try(ctx, migration, up)
		switch {
		case err == nil:
			m.log.InfoContext(ctx, did, "set", migration.Set, "version", migration.Version, "file", migration.File,
				"took", time.Since(begun))
			return nil
		case code(err) != codeLockNotAvailable || time.Since(begun) > lockPatience:
			return Interpret(fmt.Errorf("%s %s: %s: %w", does, migration.Set, migration.File, err))
		}
		m.log.WarnContext(ctx, "what the migration has to lock is in use; trying again",
			"set", migration.Set, "file", migration.File, "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, lastLockPause)
	}
}

func (m *Migrator) try(ctx context.Context, migration Migration, up bool) error {
	set := m.sets[slices.IndexFunc(m.sets, func(s Migrations) bool { return s.Name == migration.Set })]
	files, err := fs.Sub(set.FS, set.changes())
	if err != nil {
		return err
	}
	inTransaction, err := set.inTransaction(migration)
	if err != nil {
		return err
	}
	// Every second, for five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	if !inTransaction {
		locker = patient{locker}
	}
	options := []goose.ProviderOption{
		goose.WithTableName(versionTable(set)),
		goose.WithSessionLocker(locker),
		goose.WithDisableGlobalRegistry(true),
	}
	if migration.IsBackfill() {
		backfill, err := m.backfill(set, migration)
		if err != nil {
			return err
		}
		options = append(options, goose.WithGoMigrations(backfill))
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, m.db, files, options...)
	if err != nil {
		return err
	}
	_, err = provider.ApplyVersion(ctx, migration.Version, up)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		return partial.Err
	}
	return err
}

func versionTable(set Migrations) string { return "goose_" + set.Name }

// patient is a locker whose sessions wait for locks for ever.
type patient struct{ lock.SessionLocker }

func (p patient) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := p.SessionLocker.SessionLock(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "set lock_timeout = 0")
	return err
}

func (p patient) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "reset lock_timeout")
	return errors.Join(err, p.SessionLocker.SessionUnlock(ctx, conn))
}
