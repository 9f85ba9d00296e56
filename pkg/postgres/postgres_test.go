package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var errStop = errors.New("stop")

func accounts(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return pgtest.New(t, postgres.Migrations{Name: "accounts", FS: fstest.MapFS{"00001_accounts.sql": {Data: []byte(`-- +goose Up
		create table account(name text constraint account_name_taken primary key, balance int not null);
		insert into account values ('a', 0), ('b', 0);`)}}})
}

func add(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := tx.Exec(ctx, "update account set balance = balance + 1 where name = $1", name)
	return err
}

func total(t *testing.T, pool *pgxpool.Pool) (sum int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "select sum(balance) from account").Scan(&sum))
	return sum
}

func TestPoolIsOpenedWhileTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), "postgres://nobody@127.0.0.1:1/nothing?sslmode=disable")
	require.NoError(t, err)
	defer pool.Close()

	err = postgres.Interpret(pool.Ping(t.Context()))
	require.Equal(t, errs.Unavailable, errs.From(err).Kind)
	require.Equal(t, "database_unavailable", errs.From(err).Code)
}

func TestDatabaseThatLetsNobodyInIsAway(t *testing.T) {
	t.Parallel()
	cfg := pgtest.New(t).Config().ConnConfig
	cfg.Database = "closed_to_everybody"
	_, err := pgx.ConnectConfig(t.Context(), cfg)
	require.Equal(t, errs.Unavailable, errs.From(postgres.Interpret(err)).Kind, "%v", err)
}

func TestUnreadableURLIsAnError(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), "postgres://%zz")
	require.Error(t, err)
}

func TestTimesAreInUTC(t *testing.T) {
	t.Parallel()
	var zone string
	var now time.Time
	require.NoError(t, pgtest.New(t).QueryRow(t.Context(), "select current_setting('timezone'), now()").Scan(&zone, &now))
	require.Equal(t, "UTC", zone)
	require.Equal(t, time.UTC, now.Location())
}

func TestSettingsInTheURLWin(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), pgtest.DSN(t)+"&statement_timeout=1234&pool_max_conns=3")
	require.NoError(t, err)
	defer pool.Close()
	var timeout string
	require.NoError(t, pool.QueryRow(t.Context(), "show statement_timeout").Scan(&timeout))
	require.Equal(t, "1234ms", timeout)
	require.EqualValues(t, 3, pool.Config().MaxConns)
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), accounts(t)

	err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		require.NoError(t, add(ctx, tx, "a"))
		return errStop
	})
	require.ErrorIs(t, err, errStop)

	require.PanicsWithValue(t, "bug", func() {
		_ = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			require.NoError(t, add(ctx, tx, "a"))
			panic("bug")
		})
	})

	cancelled, cancel := context.WithCancel(ctx)
	err = postgres.InTx(cancelled, pool, func(tx pgx.Tx) error {
		require.NoError(t, add(ctx, tx, "a"))
		cancel()
		return cancelled.Err()
	})
	require.ErrorIs(t, err, context.Canceled)

	require.Zero(t, total(t, pool))
	require.Zero(t, pool.Stat().AcquiredConns())
	require.EqualValues(t, 1, pool.Stat().TotalConns(), "no failure has cost the connection")
}

func TestSwallowedStatementErrorIsNoCommit(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), accounts(t)
	err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		_, _ = tx.Exec(ctx, "select 1/0")
		return nil
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
}

func TestDeadlockedTransactionRunsAgain(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), accounts(t)
	var bothHold sync.WaitGroup
	bothHold.Add(2)
	move := func(from, to string) func() error {
		return func() error {
			runs := 0
			return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				runs++
				if err := add(ctx, tx, from); err != nil {
					return err
				}
				if runs == 1 {
					bothHold.Done()
					bothHold.Wait()
				}
				return add(ctx, tx, to)
			})
		}
	}
	var group errgroup.Group
	group.Go(move("a", "b"))
	group.Go(move("b", "a"))
	require.NoError(t, group.Wait())
	require.Equal(t, 4, total(t, pool))
}

func TestConflictThatDoesNotEndIsUnavailable(t *testing.T) {
	t.Parallel()
	runs := 0
	err := postgres.InTx(t.Context(), pgtest.New(t), func(pgx.Tx) error {
		runs++
		return &pgconn.PgError{Code: "40001"}
	})
	require.Equal(t, errs.Unavailable, errs.From(err).Kind)
	require.Equal(t, 5, runs)
}

func TestLostConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), accounts(t)
	err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		require.NoError(t, add(ctx, tx, "a"))
		_, err := tx.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
		return err
	})
	require.Equal(t, errs.Unavailable, errs.From(err).Kind, err)
	require.Zero(t, total(t, pool), "and the pool has recovered")
}

func TestLostAnswerToACommitIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), accounts(t)
	_, err := pool.Exec(ctx, `
		create function die() returns trigger language plpgsql as
			'begin perform pg_terminate_backend(pg_backend_pid()); return null; end';
		create constraint trigger die after update on account deferrable initially deferred
			for each row execute function die()`)
	require.NoError(t, err)

	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error { return add(ctx, tx, "a") })
	require.Equal(t, errs.OutcomeUnknown, errs.From(err).Kind, err)
}

func TestBrokenConstraintIsNamed(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), accounts(t)
	err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into account values ('a', 1)")
		return err
	})
	require.True(t, postgres.IsUnique(err))
	require.Equal(t, "account_name_taken", postgres.ConstraintName(err))

	require.False(t, postgres.IsUnique(io.EOF))
	require.Empty(t, postgres.ConstraintName(io.EOF))
}

func TestInterpretKnowsADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"connection failure":   &pgconn.PgError{Code: "08006"},
		"too many connections": &pgconn.PgError{Code: "53300"},
		"disk full":            &pgconn.PgError{Code: "53100"},
		"admin shutdown":       &pgconn.PgError{Code: "57P01"},
		"starting up":          &pgconn.PgError{Code: "57P03"},
		"standby":              &pgconn.PgError{Code: "25006"},
		"deadlock":             &pgconn.PgError{Code: "40P01"},
		"cut off":              fmt.Errorf("read: %w", io.ErrUnexpectedEOF),
		"connection closed":    pgconn.ErrConnClosed,
	} {
		require.Equal(t, errs.Unavailable, errs.From(postgres.Interpret(err)).Kind, name)
		require.ErrorIs(t, postgres.Interpret(err), err, name)
	}
	declared := errs.New(errs.NotFound, "x_not_found", "There is no x.")
	for name, err := range map[string]error{
		"nothing":           nil,
		"broken constraint": &pgconn.PgError{Code: "23505"},
		"cancelled":         fmt.Errorf("query: %w", context.Canceled),
		"too late":          fmt.Errorf("query: %w", context.DeadlineExceeded),
		"no rows":           pgx.ErrNoRows,
		"declared":          declared.WithCause(io.EOF),
	} {
		require.Equal(t, err, postgres.Interpret(err), name)
	}
}

func TestMigrationsRunOnceWhenProcessesStartTogether(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	// Both sets fail if they are run twice, and the second one needs the first.
	first := postgres.Migrations{Name: "first", FS: fstest.MapFS{
		"00001_a.sql": {Data: []byte("-- +goose Up\nselect pg_sleep(0.2);\ncreate table a(n int);")},
		"00002_b.sql": {Data: []byte("-- +goose Up\ninsert into a values (1);")},
	}}
	second := postgres.Migrations{Name: "second", FS: fstest.MapFS{
		"migrations/00001_b.sql": {Data: []byte("-- +goose Up\ncreate table b as table a;")},
	}}
	var group errgroup.Group
	for range 3 {
		group.Go(func() error {
			return postgres.Migrate(t.Context(), dsn, slog.New(slog.DiscardHandler), first, second)
		})
	}
	require.NoError(t, group.Wait())

	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	var rows int
	require.NoError(t, pool.QueryRow(t.Context(),
		"select count(*) from b, goose_first f, goose_second s where f.version_id = 2 and s.version_id = 1").Scan(&rows))
	require.Equal(t, 1, rows)
}

func TestMigrationThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	err := postgres.Migrate(t.Context(), pgtest.DSN(t), slog.New(slog.DiscardHandler), postgres.Migrations{
		Name: "broken", FS: fstest.MapFS{"00001_x.sql": {Data: []byte("-- +goose Up\nselect nonsense;")}},
	})
	require.ErrorContains(t, err, "migrate broken")
}
