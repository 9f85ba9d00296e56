package pgtest_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func notes(text string) postgres.Migrations {
	sql := "-- +goose Up\ncreate table note(text text not null);\ninsert into note values ('" + text + "');\n"
	return postgres.Migrations{Name: "notes", FS: fstest.MapFS{"migrations/00001_notes.sql": {Data: []byte(sql)}}}
}

func TestParallelTestsSeeOnlyTheirOwnData(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t, notes("first"))
			_, err := pool.Exec(t.Context(), "insert into note values ($1)", fmt.Sprint(n))
			require.NoError(t, err)

			rows, err := pool.Query(t.Context(), "select text from note order by text desc")
			require.NoError(t, err)
			texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.Equal(t, []string{"first", fmt.Sprint(n)}, texts)
		})
	}
}

func TestOtherMigrationsGetAnotherTemplate(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"one", "other"} {
		var got string
		require.NoError(t, pgtest.New(t, notes(text)).QueryRow(t.Context(), "select text from note").Scan(&got))
		require.Equal(t, text, got)
	}
}

func TestDatabaseIsDroppedWhenItsTestEnds(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("a test", func(t *testing.T) {
		require.NoError(t, pgtest.New(t, notes("x")).QueryRow(t.Context(), "select current_database()").Scan(&name))
	})
	var left int
	err := pgtest.New(t).QueryRow(t.Context(), "select count(*) from pg_database where datname = $1", name).Scan(&left)
	require.NoError(t, err)
	require.NotEmpty(t, name)
	require.Zero(t, left)
}
