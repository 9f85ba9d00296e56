package eventbus_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

func TestConnectDoesNotWaitForTheServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.nats.Kill()
	nc, err := eventbus.Connect(t.Context(), b.nats.URL(), "test", silent)
	require.NoError(t, err)
	defer nc.Close()
	require.Error(t, eventbus.Ready(nc))

	b.nats.Restart()
	require.Eventually(t, func() bool { return eventbus.Ready(nc) == nil }, patience, beat)
}

func TestConnectRefusesAnUnreadableURL(t *testing.T) {
	t.Parallel()
	_, err := eventbus.Connect(t.Context(), "nats://shop:hunter2@localhost:port", "test", silent)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestStreamIsBroughtUpToDateAndKeepsWhatOperatorsSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ensureStream()
	b.publish(sold, 1)
	b.ensureStream()

	more := contract.Stream{Name: stream.Name, Subjects: []string{"shop.>", "store.>"}}
	require.NoError(t, eventbus.EnsureStream(t.Context(), b.js, more))
	s, err := b.js.Stream(t.Context(), stream.Name)
	require.NoError(t, err)
	cfg := s.CachedInfo().Config
	require.Equal(t, more.Subjects, cfg.Subjects)
	require.Equal(t, jetstream.FileStorage, cfg.Storage)
	require.Equal(t, 10*time.Minute, cfg.Duplicates)
	require.EqualValues(t, -1, cfg.MaxBytes)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs)
}

func TestOnlyOneTransactionHandlesAnEvent(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t, eventbus.Schema)
	var firsts atomic.Int32
	var group errgroup.Group
	for range 30 {
		group.Go(func() error {
			return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				first, err := eventbus.Once(ctx, tx, "shelf", "evt_1")
				if first {
					firsts.Add(1)
				}
				return err
			})
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, firsts.Load())
}

func TestEventOfAFailedTransactionIsNew(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t, eventbus.Schema)
	once := func(consumer string, failure error) (first bool) {
		err := postgres.InTx(ctx, pool, func(tx pgx.Tx) (err error) {
			first, err = eventbus.Once(ctx, tx, consumer, "evt_1")
			require.NoError(t, err)
			return failure
		})
		require.ErrorIs(t, err, failure)
		return first
	}
	require.True(t, once("shelf", errDown))
	require.True(t, once("shelf", nil))
	require.False(t, once("shelf", nil))
	require.True(t, once("till", nil), "each consumer has its own inbox")
}

func TestInboxForgetsWhatNoStreamHolds(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t, eventbus.Schema)
	_, err := pool.Exec(ctx, `insert into inbox values
		('shelf', 'old', now() - interval '9 days'), ('shelf', 'young', now() - interval '7 days')`)
	require.NoError(t, err)
	purged, err := eventbus.PurgeInbox(ctx, pool)
	require.NoError(t, err)
	require.EqualValues(t, 1, purged)
}

func TestInboxForgetsMoreThanOneStatementTakes(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), pgtest.New(t, eventbus.Schema)
	_, err := pool.Exec(ctx, `insert into inbox
		select 'shelf', n::text, now() - interval '9 days' from generate_series(1, 11000) as n`)
	require.NoError(t, err)
	purged, err := eventbus.PurgeInbox(ctx, pool)
	require.NoError(t, err)
	require.EqualValues(t, 11_000, purged)
}
