package postgres

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
)

// Migrations is one independently versioned part of a schema: a service's own tables, or those of a package that it
// uses.
type Migrations struct {
	// Name is unique in a database and part of the name of the version table, "goose_<name>".
	Name string
	// FS holds goose's SQL files, at its root or in a folder "migrations". A folder "backfills" may hold what fills new
	// columns and tables for old rows, in the same sequence of versions: a file is one statement that changes up to $1 of
	// the rows that still need it. It is run until it finds none.
	FS fs.FS
}

const (
	changesFolder   = "migrations"
	backfillsFolder = "backfills"
)

// Migration is one step of a set, and where a database stands with it.
type Migration struct {
	Set     string
	Version int64
	// File is its path in the set's FS, and empty if the database knows it but the program does not: a newer program was
	// here.
	File string
	// AppliedAt is zero while the migration is pending.
	AppliedAt time.Time
}

// IsBackfill reports whether the migration fills old rows in batches.
func (m Migration) IsBackfill() bool { return path.Dir(m.File) == backfillsFolder }

// List returns the set's migrations in the order of their versions, as if none was applied.
func (m Migrations) List() ([]Migration, error) {
	var all []Migration
	for _, folder := range []string{m.changes(), backfillsFolder} {
		names, err := fs.Glob(m.FS, path.Join(folder, "*.sql"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			version, err := goose.NumericComponent(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			all = append(all, Migration{Set: m.Name, Version: version, File: name})
		}
	}
	slices.SortFunc(all, byVersion)
	return all, nil
}

func byVersion(a, b Migration) int { return cmp.Compare(a.Version, b.Version) }

// changes returns the folder of FS that holds goose's SQL files.
func (m Migrations) changes() string {
	if info, err := fs.Stat(m.FS, changesFolder); err == nil && info.IsDir() {
		return changesFolder
	}
	return "."
}

// noTransaction is goose's annotation of a file whose statements each commit for themselves.
const noTransaction = "-- +goose NO TRANSACTION"

// inTransaction reports whether the migration runs in one transaction.
func (m Migrations) inTransaction(migration Migration) (bool, error) {
	content, err := fs.ReadFile(m.FS, migration.File)
	return !bytes.Contains(content, []byte(noTransaction)), err
}
