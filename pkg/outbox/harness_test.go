package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	patience = 30 * time.Second
	beat     = 5 * time.Millisecond
)

var (
	stream = contract.Stream{Name: "SHOP", Subjects: []string{"shop.>"}}
	sold   = contract.Event[int]{Type: "shop.thing.sold.v1"}
)

type bundle struct {
	t    *testing.T
	pool *pgxpool.Pool
	nats *natstest.Server
	js   jetstream.JetStream
	// sent counts the messages that relays have sent, duplicates included.
	sent atomic.Int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, pool: pgtest.New(t, outbox.Schema), nats: natstest.Start(t)}
	b.js = b.nats.JetStream()
	require.NoError(t, eventbus.EnsureStream(t.Context(), b.js, stream))
	_, err := b.js.Conn().Subscribe("shop.>", func(*nats.Msg) { b.sent.Add(1) })
	require.NoError(t, err)
	require.NoError(t, b.js.Conn().Flush())
	return b
}

// relay is a relay that runs on a NATS connection of its own.
type relay struct {
	*outbox.Relay
	registry *prometheus.Registry
	// stop ends Run and waits for it.
	stop func()
}

func (b *bundle) run(options ...outbox.Option) relay {
	b.t.Helper()
	registry := prometheus.NewRegistry()
	r := outbox.NewRelay(b.pool, b.nats.JetStream(), slog.New(slog.DiscardHandler), registry, options...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- r.Run(ctx)
		close(done)
	}()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("the relay returned %v", err)
		}
	}
	b.t.Cleanup(stop)
	return relay{Relay: r, registry: registry, stop: stop}
}

// value returns what a metric shows.
func (r relay) value(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			metric := family.GetMetric()[0]
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func event(t *testing.T, n int) cloudevents.Event {
	t.Helper()
	e, err := sold.New(fmt.Sprint("thing ", n), time.Now(), n)
	require.NoError(t, err)
	return e
}

// commit adds events, numbered from 0, in one transaction.
func (b *bundle) commit(count int) []cloudevents.Event {
	b.t.Helper()
	events := make([]cloudevents.Event, count)
	for n := range events {
		events[n] = event(b.t, n)
	}
	require.NoError(b.t, postgres.InTx(b.t.Context(), b.pool, func(tx pgx.Tx) error {
		return outbox.Append(b.t.Context(), tx, events...)
	}))
	return events
}

// inStream returns how many messages the stream has taken; -1 while the server is away.
func (b *bundle) inStream() int {
	s, err := b.js.Stream(b.t.Context(), stream.Name)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// unmarked returns how many events are not marked as published; -1 while the database is away.
func (b *bundle) unmarked() (n int) {
	err := b.pool.QueryRow(b.t.Context(), "select count(*) from outbox where published_at is null").Scan(&n)
	if err != nil {
		return -1
	}
	return n
}

// requireExactlyOnce waits until all events are marked and checks that the stream holds each one once.
func (b *bundle) requireExactlyOnce(total int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.inStream() >= total && b.unmarked() == 0 }, patience, beat)
	require.Equal(b.t, total, b.inStream())

	seen := map[string]bool{}
	s, err := b.js.Stream(b.t.Context(), stream.Name)
	require.NoError(b.t, err)
	for seq := range s.CachedInfo().State.LastSeq {
		msg, err := s.GetMsg(b.t.Context(), seq+1)
		require.NoError(b.t, err)
		seen[msg.Header.Get(jetstream.MsgIDHeader)] = true
	}
	require.Len(b.t, seen, total)
}

// heldLock is the advisory lock that holdMark takes.
const heldLock = 42

// holdMark makes the relay that has claimed the first event of the table stop between publishing and marking. Release
// lets it go on.
func (b *bundle) holdMark() (release func()) {
	b.t.Helper()
	ctx := b.t.Context()
	_, err := b.pool.Exec(ctx, `
		create function hold() returns trigger language plpgsql as
			'begin perform pg_advisory_xact_lock_shared(42); return new; end';
		create trigger hold before update on outbox for each row when (old.seq = 1) execute function hold()`)
	require.NoError(b.t, err)
	conn, err := b.pool.Acquire(ctx)
	require.NoError(b.t, err)
	_, err = conn.Exec(ctx, "select pg_advisory_lock($1)", heldLock)
	require.NoError(b.t, err)
	return func() {
		_, err := conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", heldLock)
		require.NoError(b.t, err)
		conn.Release()
	}
}

// heldRelay waits until a relay is held and returns the process id of its session.
func (b *bundle) heldRelay() (pid int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		err := b.pool.QueryRow(b.t.Context(), `
			select pid from pg_locks
			where locktype = 'advisory' and objid = $1 and not granted`, heldLock).Scan(&pid)
		return err == nil
	}, patience, beat, "a relay has published and is about to mark")
	return pid
}

// listening waits until a relay listens for notifications.
func (b *bundle) listening() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		var listeners int
		err := b.pool.QueryRow(b.t.Context(), `
			select count(*) from pg_stat_activity
			where datname = current_database() and query = 'listen outbox' and state = 'idle'`).Scan(&listeners)
		return err == nil && listeners > 0
	}, patience, beat)
}
