package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

// books is a table of 2,500 old rows, and what is to be done with it.
func books(more map[string]string) postgres.Migrations {
	files := fstest.MapFS{"migrations/00001_books.sql": {Data: []byte(`-- +goose Up
create table book(id int primary key, title text not null);
insert into book select n, 'Title ' || n from generate_series(1, 2500) n;
-- +goose Down
drop table book;`)}}
	for name, sql := range more {
		files[name] = &fstest.MapFile{Data: []byte(sql)}
	}
	return postgres.Migrations{Name: "books", FS: files}
}

// library is a database with books in it, its migrator and what that logs.
type library struct {
	*postgres.Migrator
	pool *pgxpool.Pool
	log  *logs
}

// logs may be read while it is written.
type logs struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logs) contain(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.Bytes(), []byte(s))
}

func openLibrary(t *testing.T, dsnSettings string, more map[string]string) library {
	t.Helper()
	dsn := pgtest.DSN(t, books(nil))
	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	var log logs
	m, err := postgres.OpenMigrator(dsn+dsnSettings, slog.New(slog.NewTextHandler(&log, nil)), books(more))
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.Close()
		require.NoError(t, m.Close())
	})
	return library{m, pool, &log}
}

func (l library) count(t *testing.T, query string) (n int) {
	t.Helper()
	require.NoError(t, l.pool.QueryRow(t.Context(), query).Scan(&n))
	return n
}

const (
	addShelf  = "-- +goose Up\nalter table book add shelf text;\n-- +goose Down\nalter table book drop shelf;"
	fillShelf = `update book set shelf = left(title, 7) where id in (select id from book where shelf is null limit $1)`
)

func TestABackfillCommitsEachBatchAndGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	l := openLibrary(t, "", map[string]string{
		"migrations/00002_shelf.sql": addShelf, "backfills/00003_shelf.sql": fillShelf,
	})
	_, err := l.Step(t.Context())
	require.NoError(t, err)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := l.Step(ctx); ended <- err }()
	require.Eventually(t, func() bool { return l.count(t, "select count(shelf) from book") > 0 },
		5*time.Second, time.Millisecond)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Equal(t, 1000, l.count(t, "select count(shelf) from book"), "a batch is committed while others are to come")

	require.NoError(t, l.Up(t.Context()))
	require.Zero(t, l.count(t, "select count(*) from book where shelf is null"))
	require.True(t, l.log.contain("rows=1500"), "the first batch is not done again: %s", l.log)
	all, err := l.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "backfills/00003_shelf.sql", all[2].File)
	require.False(t, all[2].AppliedAt.IsZero())

	require.NoError(t, l.Down(t.Context()))
	require.Zero(t, l.count(t, "select count(*) from book where shelf is null"), "what was filled in stays")
	require.NoError(t, l.Up(t.Context()))
}

func TestAMigrationThatWaitsForALockLetsOthersPassAndTriesAgain(t *testing.T) {
	t.Parallel()
	l := openLibrary(t, "&lock_timeout=50ms", map[string]string{"migrations/00002_shelf.sql": addShelf})
	reader, err := l.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = reader.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = reader.Exec(t.Context(), "select count(*) from book")
	require.NoError(t, err)

	ended := make(chan error, 1)
	go func() { ended <- l.Up(t.Context()) }()
	require.Eventually(t, func() bool { return l.log.contain("trying again") }, 5*time.Second, time.Millisecond)
	// The migration stands aside now: nobody queues behind it.
	require.Equal(t, 2500, l.count(t, "select count(*) from book"))
	require.Empty(t, ended)
	require.NoError(t, reader.Commit(t.Context()))
	require.NoError(t, <-ended)
	require.Zero(t, l.count(t, "select count(shelf) from book"))
}

func TestAnIndexIsBuiltConcurrentlyHoweverLongATransactionLasts(t *testing.T) {
	t.Parallel()
	const index = "-- +goose NO TRANSACTION\n-- +goose Up\ncreate index concurrently book_title on book (title);\n" +
		"-- +goose Down\ndrop index concurrently book_title;"
	l := openLibrary(t, "&lock_timeout=50ms", map[string]string{
		"migrations/00002_title.sql": index, "migrations/00003_shelf.sql": addShelf,
	})
	writer, err := l.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = writer.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = writer.Exec(t.Context(), "update book set title = '' where id = 1")
	require.NoError(t, err)

	ended := make(chan error, 1)
	go func() { ended <- l.Up(t.Context()) }()
	require.Eventually(t, func() bool {
		return l.count(t, "select count(*) from pg_stat_progress_create_index where phase like 'waiting%'") == 1
	}, 5*time.Second, time.Millisecond)
	require.Never(t, func() bool { return len(ended) > 0 }, 300*time.Millisecond, 10*time.Millisecond)
	_, err = l.pool.Exec(t.Context(), "update book set title = '' where id = 2")
	require.NoError(t, err, "others write while the index waits")
	require.NoError(t, writer.Commit(t.Context()))
	require.NoError(t, <-ended)
	require.Equal(t, 1, l.count(t, "select count(*) from pg_index where indexrelid = 'book_title'::regclass and indisvalid"))
}

func TestAMigrationThatCameTooLateIsRefused(t *testing.T) {
	t.Parallel()
	l := openLibrary(t, "", map[string]string{"migrations/00003_shelf.sql": addShelf})
	require.NoError(t, l.Up(t.Context()))
	late, err := postgres.OpenMigrator(l.pool.Config().ConnString(), slog.New(slog.DiscardHandler),
		books(map[string]string{"migrations/00002_late.sql": addShelf, "migrations/00003_shelf.sql": addShelf}))
	require.NoError(t, err)
	defer func() { require.NoError(t, late.Close()) }()
	require.EqualError(t, late.Up(t.Context()),
		"migrate books: migrations/00002_late.sql comes after version 3, which is applied: give it a higher number")
}

func TestTwoThatRollBackAtOnceNeverTakeMoreThanTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	// Slow enough for the second one to have chosen the same migration.
	slow := "-- +goose Up\nalter table book add shelf text;\n-- +goose Down\nselect pg_sleep(1);\nalter table book drop shelf;"
	l := openLibrary(t, "", map[string]string{"migrations/00002_shelf.sql": slow})
	require.NoError(t, l.Up(t.Context()))
	second := make(chan error, 1)
	first := make(chan error, 1)
	go func() { first <- l.Down(t.Context()) }()
	go func() { second <- l.Down(t.Context()) }()
	require.ErrorContains(t, firstError(<-first, <-second), "not applied")
	require.Equal(t, 2500, l.count(t, "select count(*) from book"))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAMigrationThatFailsNamesItsFileAndLeavesNothing(t *testing.T) {
	t.Parallel()
	l := openLibrary(t, "", map[string]string{
		"migrations/00002_broken.sql": "-- +goose Up\nalter table book add shelf text;\nselect nonsense;",
	})
	err := l.Up(t.Context())
	require.ErrorContains(t, err, "migrate books: migrations/00002_broken.sql: ")
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Zero(t, l.count(t, "select count(*) from information_schema.columns where column_name = 'shelf'"))
}
