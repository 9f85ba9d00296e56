package migrationtest_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/migrationtest"
)

const first = "-- +goose Up\nCREATE TABLE book (id bigint PRIMARY KEY, title text, CHECK (id IS NOT NULL));\n"

// lint lints a file that comes after the first.
func lint(t *testing.T, files map[string]string) []migrationtest.Refusal {
	t.Helper()
	fsys := fstest.MapFS{"migrations/00001_book.sql": {Data: []byte(first)}}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	refusals, err := migrationtest.Lint(postgres.Migrations{Name: "books", FS: fsys})
	require.NoError(t, err)
	return refusals
}

func up(statements string) map[string]string {
	return map[string]string{"migrations/00002_next.sql": "-- +goose Up\n" + statements + "\n-- +goose Down\nDROP TABLE book;\n"}
}

func concurrently(statements string) map[string]string {
	return map[string]string{"migrations/00002_next.sql": "-- +goose NO TRANSACTION\n-- +goose Up\n" + statements + "\n"}
}

func TestAStatementThatWouldStopARunningSystemIsRefusedWithTheSafeWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		says  string
	}{
		"type of a column": {up("ALTER TABLE book ALTER COLUMN title TYPE varchar(10);"), "add a column of the new type"},
		"volatile default": {up("ALTER TABLE book ADD COLUMN k uuid DEFAULT gen_random_uuid();"), "without a default"},
		"volatile in a cast": {
			up("ALTER TABLE book ADD COLUMN k text DEFAULT random()::text;"), "without a default",
		},
		"clock's default":  {up("ALTER TABLE book ADD COLUMN at timestamptz DEFAULT clock_timestamp();"), "without a default"},
		"generated column": {up("ALTER TABLE book ADD COLUMN n int GENERATED ALWAYS AS (1) STORED;"), "a plain column"},
		"identity column":  {up("ALTER TABLE book ADD COLUMN n int GENERATED ALWAYS AS IDENTITY;"), "a plain column"},
		"serial column":    {up("ALTER TABLE book ADD COLUMN n bigserial;"), "a plain column with a sequence"},
		"required column":  {up("ALTER TABLE book ADD COLUMN n int NOT NULL;"), "without NOT NULL, or with a default"},
		"checked column":   {up("ALTER TABLE book ADD COLUMN n int CHECK (n > 0);"), "NOT VALID"},
		"column with a key": {
			up("ALTER TABLE book ADD COLUMN of bigint REFERENCES book (id);"), "NOT VALID",
		},
		"unique column":     {up("ALTER TABLE book ADD COLUMN n int UNIQUE;"), "USING INDEX"},
		"not null":          {up("ALTER TABLE book ALTER COLUMN title SET NOT NULL;"), "CHECK (title IS NOT NULL) NOT VALID"},
		"check":             {up("ALTER TABLE book ADD CONSTRAINT c CHECK (id > 0);"), "VALIDATE CONSTRAINT in the next file"},
		"foreign key":       {up("ALTER TABLE book ADD FOREIGN KEY (id) REFERENCES book (id);"), "add it NOT VALID"},
		"unique constraint": {up("ALTER TABLE book ADD UNIQUE (title);"), "ADD CONSTRAINT … USING INDEX"},
		"primary key":       {up("ALTER TABLE book ADD PRIMARY KEY (title);"), "ADD CONSTRAINT … USING INDEX"},
		"exclusion":         {up("ALTER TABLE book ADD EXCLUDE (title WITH =);"), "create a table beside it"},
		"validated at once": {
			up("ALTER TABLE book ADD CONSTRAINT c CHECK (id > 0) NOT VALID;\nALTER TABLE book VALIDATE CONSTRAINT c;"),
			"in a file of its own",
		},
		"unlogged":           {up("ALTER TABLE book SET UNLOGGED;"), "create a table beside it"},
		"tablespace":         {up("ALTER TABLE book SET TABLESPACE fast;"), "create a table beside it"},
		"detached partition": {up("ALTER TABLE book DETACH PARTITION part;"), "CONCURRENTLY"},
		"index":              {up("CREATE INDEX book_title ON book (title);"), "CREATE INDEX CONCURRENTLY"},
		"index in a transaction": {
			up("CREATE INDEX CONCURRENTLY book_title ON book (title);"), "-- +goose NO TRANSACTION",
		},
		"index that cannot be tried again": {
			concurrently("CREATE INDEX CONCURRENTLY book_title ON book (title);"), "DROP INDEX CONCURRENTLY IF EXISTS",
		},
		"index that may be invalid": {
			concurrently("DROP INDEX CONCURRENTLY IF EXISTS a;\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a ON book (title);"),
			"an invalid index",
		},
		"drop of an index":     {up("DROP INDEX book_title;"), "DROP INDEX CONCURRENTLY"},
		"reindex":              {up("REINDEX TABLE book;"), "REINDEX … CONCURRENTLY"},
		"no transaction":       {concurrently("ALTER TABLE book ADD COLUMN n int;"), "only what is CONCURRENTLY"},
		"full vacuum":          {up("VACUUM FULL book;"), "reuses the room"},
		"cluster":              {up("CLUSTER book USING book_pkey;"), "create an index"},
		"materialized view":    {up("REFRESH MATERIALIZED VIEW v;"), "CONCURRENTLY"},
		"lock":                 {up("LOCK TABLE book;"), "take the locks they need"},
		"lock_timeout":         {up("SET lock_timeout = 0;"), "in DATABASE_URL"},
		"statement_timeout":    {up("SET LOCAL statement_timeout = '1d';"), "in DATABASE_URL"},
		"domain":               {up("ALTER DOMAIN email ADD CHECK (value <> '');"), "add the constraint NOT VALID"},
		"transaction":          {up("COMMIT;"), "half way"},
		"anonymous code":       {up("DO $$ BEGIN DELETE FROM book; END $$;"), "nothing can look into it"},
		"update":               {up("UPDATE book SET title = '';"), "make it a backfill"},
		"delete":               {up("DELETE FROM book WHERE id = 1;"), "make it a backfill"},
		"copy":                 {up("INSERT INTO book SELECT id + 1000 FROM book;"), "make it a backfill"},
		"merge":                {up("MERGE INTO book USING book b ON true WHEN MATCHED THEN DELETE;"), "make it a backfill"},
		"drop of a column":     {up("ALTER TABLE book DROP COLUMN title;"), "-- contract:"},
		"drop of a default":    {up("ALTER TABLE book ALTER COLUMN title DROP DEFAULT;"), "-- contract:"},
		"drop of not null":     {up("ALTER TABLE book ALTER COLUMN title DROP NOT NULL;"), "-- contract:"},
		"drop of a table":      {up("DROP TABLE book;"), "it drops a table"},
		"drop of a function":   {up("DROP FUNCTION f();"), "it drops a function"},
		"rename of a column":   {up("ALTER TABLE book RENAME title TO name;"), "it renames a column"},
		"rename of a table":    {up("ALTER TABLE book RENAME TO tome;"), "it renames a table"},
		"move":                 {up("ALTER TABLE book SET SCHEMA shelf;"), "to another schema"},
		"truncate":             {up("TRUNCATE book;"), "it empties a table"},
		"mark without a why":   {up("-- contract:\nDROP TABLE book;"), "-- contract:"},
		"backfill without end": {map[string]string{"backfills/00002_x.sql": "UPDATE book SET title = '';"}, "LIMIT $1"},
		"backfill of two":      {map[string]string{"backfills/00002_x.sql": "SELECT 1; SELECT 2"}, "one statement"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusals := lint(t, c.files)
			require.Len(t, refusals, 1)
			require.Contains(t, refusals[0].Why, c.says)
		})
	}
}

func TestWhatHoldsNobodyUpIsNotRefused(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"column":               up("ALTER TABLE book ADD COLUMN n int;"),
		"column with constant": up("ALTER TABLE book ADD COLUMN tags text[] NOT NULL DEFAULT '{}'::text[];"),
		"column with now()":    up("ALTER TABLE book ADD COLUMN at timestamptz NOT NULL DEFAULT now();"),
		"table and its index":  up("CREATE TABLE page (book_id bigint REFERENCES book (id));\nCREATE INDEX i ON page (book_id);"),
		"table and its rows":   up("CREATE TABLE one (n int NOT NULL);\nINSERT INTO one VALUES (1);\nUPDATE one SET n = 2;"),
		"one row":              up("INSERT INTO book VALUES (1, 'The Go Programming Language');"),
		"constraint for new rows": up(
			"ALTER TABLE book ADD CONSTRAINT c CHECK (id > 0) NOT VALID;"),
		"function": up("-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM book; " +
			"SELECT 1 $$;\n-- +goose StatementEnd"),
		"index":    concurrently("DROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON book (title);"),
		"contract": up("-- contract: title is read by nobody since 2026-11-20.\nALTER TABLE book DROP COLUMN title;"),
		"backfill": {"backfills/00002_x.sql": "UPDATE book SET title = '' WHERE id IN (" +
			"SELECT id FROM book WHERE title IS NULL LIMIT $1);"},
		"not null in three files": {
			"migrations/00002_a.sql": "-- +goose Up\nALTER TABLE book ADD CONSTRAINT c CHECK (title IS NOT NULL) NOT VALID;",
			"migrations/00003_b.sql": "-- +goose Up\nALTER TABLE book VALIDATE CONSTRAINT c;",
			"migrations/00004_c.sql": "-- +goose Up\nALTER TABLE book ALTER COLUMN title SET NOT NULL, DROP CONSTRAINT c;",
		},
		"unique in two files": {
			"migrations/00002_a.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nDROP INDEX CONCURRENTLY IF EXISTS i;\n" +
				"CREATE UNIQUE INDEX CONCURRENTLY i ON book (title);",
			"migrations/00003_b.sql": "-- +goose Up\nALTER TABLE book ADD CONSTRAINT i UNIQUE USING INDEX i;",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, lint(t, files))
		})
	}
}

func TestARefusalNamesFileLineAndStatement(t *testing.T) {
	t.Parallel()
	refusals := lint(t, up("ALTER TABLE book ADD COLUMN n int;\n\n-- For the list.\nCREATE INDEX i\n  ON book (n);"))
	require.Len(t, refusals, 1)
	require.Contains(t, refusals[0].String(), "books/migrations/00002_next.sql:5: CREATE INDEX i: nobody can write")
}

func TestAFileThatIsNoSQLIsAnError(t *testing.T) {
	t.Parallel()
	_, err := migrationtest.Lint(postgres.Migrations{Name: "x", FS: fstest.MapFS{
		"00001_x.sql": {Data: []byte("-- +goose Up\nALTER TABEL x;")},
	}})
	require.ErrorContains(t, err, "x/00001_x.sql")
}
