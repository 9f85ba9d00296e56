package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

const (
	// backfillBatch is how many rows are locked at a time: those who want one of them wait for milliseconds.
	backfillBatch = 1000
	// backfillPause lets requests, the vacuum and replicas have the disk between two batches.
	backfillPause = 50 * time.Millisecond
	// backfillTold is how often a long one says how far it is.
	backfillTold = 10 * time.Second
)

// backfill returns the migration as goose runs it: each batch commits for itself, so one that was stopped goes on where
// it was. Rolling it back leaves the rows as they are: whoever knew nothing of what was filled in ignores it.
func (m *Migrator) backfill(set Migrations, migration Migration) (*goose.Migration, error) {
	statement, err := fs.ReadFile(set.FS, migration.File)
	if err != nil {
		return nil, err
	}
	log := m.log.With("set", migration.Set, "file", migration.File)
	up := func(ctx context.Context, db *sql.DB) error { return runBatches(ctx, db, log, string(statement)) }
	return goose.NewGoMigration(migration.Version,
		&goose.GoFunc{RunDB: up, Mode: goose.TransactionDisabled}, &goose.GoFunc{Mode: goose.TransactionEnabled}), nil
}

func runBatches(ctx context.Context, db *sql.DB, log *slog.Logger, statement string) error {
	var done int64
	for told := time.Now(); ; {
		result, err := db.ExecContext(ctx, statement, backfillBatch)
		if err != nil {
			return fmt.Errorf("after %d rows: %w", done, err)
		}
		changed, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if done += changed; changed == 0 {
			log.InfoContext(ctx, "rows are filled in", "rows", done)
			return nil
		}
		if time.Since(told) > backfillTold {
			log.InfoContext(ctx, "rows are being filled in", "rows", done)
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backfillPause):
		}
	}
}
