package service_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/service"
)

func table(name string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\ncreate table " + name + "(n int);\n-- +goose Down\ndrop table " + name + ";\n")}
}

// shop has two sets; the second version of the first came later than the other set.
func shop(secondRelease bool) []postgres.Migrations {
	till := fstest.MapFS{"00001_till.sql": table("till")}
	if secondRelease {
		till["00002_coupons.sql"] = table("coupons")
	}
	return []postgres.Migrations{
		{Name: "till", FS: till}, {Name: "shelf", FS: fstest.MapFS{"00001_shelf.sql": table("shelf")}},
	}
}

// execute runs a command of the program and returns what it printed.
func execute(t *testing.T, sets []postgres.Migrations, args ...string) (code int, out, problems string) {
	t.Helper()
	var o, p strings.Builder
	commands := service.WithMigrations(func(service.MigrateConfig) []postgres.Migrations { return sets },
		map[string]service.Command{})
	code = service.Execute(t.Context(), "shop", args, commands, &o, &p)
	return code, o.String(), p.String()
}

func TestMigrationsGoUpAndDownOneByOneAndStatusTellsOfEach(t *testing.T) {
	t.Setenv("DATABASE_URL", pgtest.DSN(t))
	requireStatus := func(secondRelease bool, want ...string) {
		t.Helper()
		code, out, problems := execute(t, shop(secondRelease), "migrate", "status")
		require.Zero(t, code, problems)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		require.Len(t, lines, len(want), out)
		for i, line := range lines {
			require.Regexp(t, "^"+strings.Join(strings.Fields(want[i]), " +")+"$", line)
		}
	}
	const pending, at = "pending", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
	requireStatus(false, `till 1 00001_till\.sql `+pending, `shelf 1 00001_shelf\.sql `+pending)

	code, _, problems := execute(t, shop(false), "migrate", "up")
	require.Zero(t, code, problems)
	requireStatus(false, `till 1 00001_till\.sql `+at, `shelf 1 00001_shelf\.sql `+at)
	requireStatus(true, `till 1 00001_till\.sql `+at, `till 2 00002_coupons\.sql `+pending, `shelf 1 00001_shelf\.sql `+at)

	code, out, problems := execute(t, shop(true), "migrate", "up")
	require.Zero(t, code, problems)
	require.Equal(t, 1, strings.Count(out, "\n"), "every migration is told of, and there was one: %s", out)
	require.Contains(t, out, "00002_coupons.sql")

	// The older program neither hides what the newer one did, nor rolls anything else back instead.
	requireStatus(false, `till 1 00001_till\.sql `+at, `till 2 \(of a newer program\) `+at, `shelf 1 00001_shelf\.sql `+at)
	code, _, problems = execute(t, shop(false), "migrate", "down")
	require.Equal(t, 1, code)
	require.Equal(t, "shop: roll back till: version 2 was applied by a newer program, which alone can roll it back\n", problems)

	// Newest is what was applied last, whatever its set.
	for _, file := range []string{"00002_coupons.sql", "00001_shelf.sql", "00001_till.sql"} {
		code, out, problems = execute(t, shop(true), "migrate", "down")
		require.Zero(t, code, problems)
		require.Equal(t, 1, strings.Count(out, "\n"), out)
		require.Contains(t, out, file)
	}
	code, _, problems = execute(t, shop(true), "migrate", "down")
	require.Equal(t, 1, code)
	require.Equal(t, "shop: no migration is applied\n", problems)
	requireStatus(false, `till 1 00001_till\.sql `+pending, `shelf 1 00001_shelf\.sql `+pending)
}

func TestAProgramThatMigratesNeedsADatabase(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	for _, command := range []string{"up", "down", "status"} {
		code, _, problems := execute(t, shop(false), "migrate", command)
		require.Equal(t, 1, code)
		require.Contains(t, problems, "DATABASE_URL")
	}
	t.Setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none?sslmode=disable")
	for _, command := range []string{"up", "down", "status"} {
		code, _, problems := execute(t, shop(false), "migrate", command)
		require.Equal(t, 1, code)
		require.Equal(t, 1, strings.Count(problems, "\n"), problems)
	}
}
