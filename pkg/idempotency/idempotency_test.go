package idempotency_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

type answer struct {
	ID     string
	Amount int64
	At     time.Time
}

var errStop = errors.New("stop")

type bundle struct {
	pool *pgxpool.Pool
	runs atomic.Int32
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return &bundle{pool: pgtest.New(t, idempotency.Schema)}
}

// place runs a request whose work is to write an answer that says how often work was done.
func (b *bundle) place(ctx context.Context, fail error) (answer, bool, error) {
	return idempotency.Run(ctx, b.pool, func(pgx.Tx) (answer, error) {
		n := b.runs.Add(1)
		return answer{ID: "ord", Amount: 1<<53 + int64(n), At: time.Unix(0, 1000*int64(n)).UTC()}, fail
	})
}

func with(ctx context.Context, caller, key, body string) context.Context {
	return idempotency.WithRequest(ctx, idempotency.Request{Caller: caller, Key: key, Fingerprint: []byte(body)})
}

func TestRepetitionGetsTheStoredAnswer(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), with(t.Context(), "shop", "k", "body")

	first, replayed, err := b.place(ctx, nil)
	require.NoError(t, err)
	require.False(t, replayed)
	again, replayed, err := b.place(ctx, nil)
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, first, again)
	require.EqualValues(t, 1, b.runs.Load())
}

func TestFiftyRequestsAtOnceRunOnce(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), with(t.Context(), "shop", "k", "body")
	var ran, replays, conflicts atomic.Int32
	var start, done sync.WaitGroup
	start.Add(1)
	for range 50 {
		done.Go(func() {
			start.Wait()
			got, replayed, err := b.place(ctx, nil)
			switch {
			case errors.Is(err, idempotency.ErrInUse):
				conflicts.Add(1)
			case err != nil:
				t.Errorf("unexpected: %v", err)
			case replayed:
				replays.Add(1)
			default:
				ran.Add(1)
			}
			if err == nil && got.Amount != 1<<53+1 {
				t.Errorf("another answer: %v", got)
			}
		})
	}
	start.Done()
	done.Wait()
	require.EqualValues(t, 1, b.runs.Load())
	require.EqualValues(t, 1, ran.Load())
	require.EqualValues(t, 49, replays.Load()+conflicts.Load())
}

func TestRequestThatIsStillRunningIsAConflict(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), with(t.Context(), "shop", "k", "body")
	_, _, err := idempotency.Run(ctx, b.pool, func(pgx.Tx) (answer, error) {
		_, _, err := b.place(ctx, nil)
		require.ErrorIs(t, err, idempotency.ErrInUse)
		require.Equal(t, errs.Conflict, errs.From(err).Kind)

		_, _, err = b.place(with(t.Context(), "shop", "other", "body"), nil)
		require.NoError(t, err, "other keys do not wait")
		return answer{}, nil
	})
	require.NoError(t, err)
}

func TestKeyUsedForAnotherBodyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := b.place(with(t.Context(), "shop", "k", "body"), nil)
	require.NoError(t, err)
	_, _, err = b.place(with(t.Context(), "shop", "k", "other body"), nil)
	require.ErrorIs(t, err, idempotency.ErrReused)
	require.Equal(t, errs.Invalid, errs.From(err).Kind)
	require.EqualValues(t, 1, b.runs.Load())
}

func TestFailureStoresNothing(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), with(t.Context(), "shop", "k", "body")
	got, _, err := b.place(ctx, errStop)
	require.ErrorIs(t, err, errStop)
	require.Zero(t, got)

	var rows int
	require.NoError(t, b.pool.QueryRow(t.Context(), "select count(*) from idempotency_keys").Scan(&rows))
	require.Zero(t, rows)

	// The key is free again, also for another body.
	_, replayed, err := b.place(with(t.Context(), "shop", "k", "corrected body"), nil)
	require.NoError(t, err)
	require.False(t, replayed)
	require.EqualValues(t, 2, b.runs.Load())
}

func TestSameKeyOfAnotherCallerIsAnotherRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n, id := range [][2]string{{"shop", "k"}, {"other shop", "k"}, {"sho", "pk"}} {
		_, replayed, err := b.place(with(t.Context(), id[0], id[1], "body"), nil)
		require.NoError(t, err)
		require.False(t, replayed)
		require.EqualValues(t, n+1, b.runs.Load())
	}
}

func TestAnswerExpiresAfterADay(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), with(t.Context(), "shop", "k", "body")
	_, _, err := b.place(ctx, nil)
	require.NoError(t, err)

	var lifetime time.Duration
	require.NoError(t, b.pool.QueryRow(t.Context(), "select expires_at - created_at from idempotency_keys").Scan(&lifetime))
	require.InDelta(t, 24*time.Hour, lifetime, float64(time.Second))
	purged, err := idempotency.Purge(t.Context(), b.pool)
	require.NoError(t, err)
	require.Zero(t, purged)

	expire := func() {
		_, err = b.pool.Exec(t.Context(), "update idempotency_keys set expires_at = now() - interval '1 second'")
		require.NoError(t, err)
	}
	expire()
	// Not even another body is refused: what is expired is forgotten.
	_, replayed, err := b.place(with(t.Context(), "shop", "k", "other body"), nil)
	require.NoError(t, err)
	require.False(t, replayed)
	_, replayed, err = b.place(with(t.Context(), "shop", "k", "other body"), nil)
	require.NoError(t, err)
	require.True(t, replayed)

	expire()
	purged, err = idempotency.Purge(t.Context(), b.pool)
	require.NoError(t, err)
	require.EqualValues(t, 1, purged)
}

func TestPurgeTakesMoreThanOneStatementDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.pool.Exec(t.Context(), `insert into idempotency_keys
		select 'shop', n::text, '', '{}', now() - interval '2 days', now() - interval '1 day'
		from generate_series(1, 11000) as n`)
	require.NoError(t, err)
	purged, err := idempotency.Purge(t.Context(), b.pool)
	require.NoError(t, err)
	require.EqualValues(t, 11_000, purged)
}

func TestWithoutAKeyEveryRequestRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		_, replayed, err := b.place(t.Context(), nil)
		require.NoError(t, err)
		require.False(t, replayed)
	}
	require.EqualValues(t, 2, b.runs.Load())
}
