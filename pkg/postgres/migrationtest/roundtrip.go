package migrationtest

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

// testRoundTrip goes up step by step, fills every table, and goes down step by step; at each one it goes up and down
// once more.
func (s Suite) testRoundTrip(t *testing.T) {
	t.Helper()
	dsn := pgtest.DSN(t)
	m, err := postgres.OpenMigrator(dsn, slog.New(slog.DiscardHandler), s.Sets...)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()

	schemas := []string{schema(t, pool)} // By the number of steps that led there.
	for {
		more, err := m.Step(t.Context())
		require.NoError(t, err)
		if !more {
			break
		}
		schemas = append(schemas, schema(t, pool))
	}
	s.Seed(t, pool)
	for table, rows := range contents(t, pool) {
		require.NotEmpty(t, rows, "Seed puts no row into %s", table)
	}
	for n := len(schemas) - 1; n > 0; n-- {
		last := newest(t, m)
		down := func() {
			t.Helper()
			before := contents(t, pool)
			require.NoError(t, m.Down(t.Context()), "down from %s", last)
			require.Equal(t, schemas[n-1], schema(t, pool), "down from %s leaves another schema than was there before", last)
			requireKept(t, before, contents(t, pool), "down from "+last)
		}
		down()
		before := contents(t, pool)
		_, err := m.Step(t.Context())
		require.NoError(t, err, "up again to %s", last)
		require.Equal(t, schemas[n], schema(t, pool), "up again to %s makes another schema than at first", last)
		requireKept(t, before, contents(t, pool), "up again to "+last)
		down()
	}
	require.NoError(t, m.Up(t.Context()))
	require.Equal(t, schemas[len(schemas)-1], schema(t, pool))
}

// newest returns the file that Down would roll back.
func newest(t *testing.T, m *postgres.Migrator) string {
	t.Helper()
	all, err := m.Status(t.Context())
	require.NoError(t, err)
	last := slices.MaxFunc(all, func(a, b postgres.Migration) int { return a.AppliedAt.Compare(b.AppliedAt) })
	return last.Set + "/" + last.File
}

// rows are those of a table, by column.
type rows []map[string]json.RawMessage

// contents returns the rows of all tables but those that count versions.
func contents(t *testing.T, pool *pgxpool.Pool) map[string]rows {
	t.Helper()
	tables := query[string](t, pool, `
		SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename NOT LIKE 'goose\_%'`)
	all := map[string]rows{}
	for _, table := range tables {
		all[table] = query[map[string]json.RawMessage](t, pool, "SELECT to_jsonb(t) FROM "+table+" AS t")
	}
	return all
}

// requireKept fails if a row of a table that is there before and after is not the same in the columns that are.
func requireKept(t *testing.T, before, after map[string]rows, when string) {
	t.Helper()
	for table := range before {
		if _, stays := after[table]; stays {
			require.Equal(t, before[table].within(after[table]), after[table].within(before[table]),
				"%s: rows of %s changed", when, table)
		}
	}
}

// within returns the rows as text, in the columns that others have as well.
func (r rows) within(others rows) []string {
	texts := make([]string, len(r))
	for i, row := range r {
		common := map[string]json.RawMessage{}
		for column, value := range row {
			if _, ok := first(others)[column]; ok {
				common[column] = value
			}
		}
		text, _ := json.Marshal(common) // What was JSON is.
		texts[i] = string(text)
	}
	slices.Sort(texts)
	return texts
}

func first(r rows) map[string]json.RawMessage {
	if len(r) == 0 {
		return nil
	}
	return r[0]
}

// schema describes columns, constraints, indexes, functions and triggers, each on a line.
func schema(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	return strings.Join(query[string](t, pool, `
		WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'),
		tables AS (
			SELECT oid FROM pg_class
			WHERE relnamespace IN (TABLE ours) AND relkind IN ('r', 'p') AND relname NOT LIKE 'goose\_%'
		)
		SELECT 'schema ' || oid::regnamespace FROM ours AS o(oid)
		UNION ALL
		SELECT format('column %s.%s %s not null %s default %s', attrelid::regclass, attname,
			format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid IN (TABLE tables) AND attnum > 0 AND NOT attisdropped
		UNION ALL
		SELECT format('constraint %s of %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
		FROM pg_constraint WHERE conrelid IN (TABLE tables)
		UNION ALL
		SELECT pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END FROM pg_index
		WHERE indrelid IN (TABLE tables)
		UNION ALL
		SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace IN (TABLE ours) AND prokind IN ('f', 'p')
		UNION ALL
		SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN (TABLE tables) AND NOT tgisinternal
		ORDER BY 1`), "\n")
}

func query[T any](t *testing.T, pool *pgxpool.Pool, sql string) []T {
	t.Helper()
	result, err := pool.Query(t.Context(), sql)
	require.NoError(t, err)
	values, err := pgx.CollectRows(result, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}
