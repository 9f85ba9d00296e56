// Package migrationtest proves that the migrations of a service can be applied to a running system: no statement stops
// those who use the tables, each one goes up, down and up again with data in place, and the programs of the release
// before work with the schema of this one. It must not know any table.
package migrationtest

import (
	"io/fs"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/postgres"
)

// Suite is what a service's migrations are tested with.
type Suite struct {
	// Sets is all that the service's database holds.
	Sets []postgres.Migrations
	// Seed puts rows into every table, best by the service's own code. No migration keeps them from going down and up.
	Seed func(t *testing.T, pool *pgxpool.Pool)
	// Folders are those, from the root of the repository, whose code uses the database and which hold the sets.
	Folders []string
	// Excused are the refused migrations that were released before the rule was, as "set/file", and why each one may
	// stay: it has run.
	Excused map[string]string
}

// Run runs all tests.
func Run(t *testing.T, s Suite) {
	t.Helper()
	t.Run("NoMigrationStopsARunningSystem", func(t *testing.T) {
		t.Parallel()
		s.testLint(t)
	})
	t.Run("EachMigrationGoesUpDownAndUpWithDataInPlace", func(t *testing.T) {
		t.Parallel()
		s.testRoundTrip(t)
	})
	t.Run("TheReleaseBeforeWorksWithThisSchema", func(t *testing.T) {
		t.Parallel()
		s.testRelease(t)
	})
}

func (s Suite) testLint(t *testing.T) {
	t.Helper()
	released := readRelease(t, s.Folders)
	excused := maps.Clone(s.Excused)
	for _, set := range s.Sets {
		refusals, err := Lint(set)
		require.NoError(t, err)
		for _, r := range refusals {
			if s.Excused[r.File] == "" {
				t.Error(r)
			}
			delete(excused, r.File)
		}
		migrations, err := set.List()
		require.NoError(t, err)
		for _, m := range migrations {
			content, err := fs.ReadFile(set.FS, m.File)
			require.NoError(t, err)
			file := set.Name + "/" + m.File
			before, wasReleased := released.migration(m.File)
			if wasReleased {
				require.Equal(t, string(before), string(content), "%s was released and is not run again: write a new one", file)
			} else {
				require.Empty(t, s.Excused[file], "%s was not released yet: put it right", file)
			}
		}
	}
	require.Empty(t, slices.Collect(maps.Keys(excused)), "nothing is refused of what is excused")
}
