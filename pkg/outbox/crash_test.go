package outbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/outbox"
)

func TestRelayKilledBetweenPublishingAndMarkingLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const total = 50
	b := setup(t)
	release := b.holdMark()
	b.commit(total)
	b.run()

	pid := b.heldRelay()
	require.Equal(t, total, b.inStream())
	require.Equal(t, total, b.unmarked())
	_, err := b.pool.Exec(t.Context(), "select pg_terminate_backend($1)", pid)
	require.NoError(t, err)
	release()

	b.requireExactlyOnce(total)
	require.Eventually(t, func() bool { return b.sent.Load() == 2*total }, patience, beat,
		"each one was sent twice, and the stream dropped the second")
}

func TestAnotherRelayTakesOverFromOneThatWasKilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := b.holdMark()
	b.commit(10)
	first := b.run()
	pid := b.heldRelay()
	_, err := b.pool.Exec(t.Context(), "select pg_terminate_backend($1)", pid)
	require.NoError(t, err)
	first.stop()
	release()
	require.Equal(t, 10, b.unmarked())

	b.run()
	b.requireExactlyOnce(10)
}

func TestNATSKilledInTheMiddleOfManyEvents(t *testing.T) {
	t.Parallel()
	const total = 500
	b := setup(t)
	r := b.run()
	for n := range total / 5 {
		b.commit(5)
		r.Wake()
		switch n {
		case 30:
			require.Eventually(t, func() bool { return b.inStream() > 0 }, patience, beat)
			b.nats.Kill()
		case 60:
			require.Positive(t, b.unmarked())
			b.nats.Restart()
		}
	}
	b.requireExactlyOnce(total)
}

func TestRelayStartsBeforeNATS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.nats.Kill()
	b.commit(3)
	r := b.run()
	require.Eventually(t, func() bool { return r.value(t, "outbox_backlog_rows") == 3 }, patience, beat)
	require.Positive(t, r.value(t, "outbox_oldest_age_seconds"))

	b.nats.Restart()
	b.requireExactlyOnce(3)
	require.InDelta(t, 3, r.value(t, "outbox_published_total"), 0)
}

func TestTwoRelaysShareTheWork(t *testing.T) {
	t.Parallel()
	const total = 1000
	b := setup(t)
	release := b.holdMark()
	one, other := b.run(), b.run()
	b.commit(total)

	// One of them is held with its first batch; the other does all the rest meanwhile.
	b.heldRelay()
	require.Eventually(t, func() bool { return b.inStream() == total && b.unmarked() == 200 }, patience, beat)
	release()
	b.requireExactlyOnce(total)

	published := func() float64 {
		return one.value(t, "outbox_published_total") + other.value(t, "outbox_published_total")
	}
	require.Eventually(t, func() bool { return published() == total }, patience, beat)
	require.Positive(t, one.value(t, "outbox_published_total"))
	require.Positive(t, other.value(t, "outbox_published_total"))
	require.EqualValues(t, total, b.sent.Load(), "nothing was sent twice")
}

func TestRelaySurvivesTheLossOfAllItsConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(outbox.PollEvery(time.Hour))
	b.listening()
	_, err := b.pool.Exec(t.Context(), `
		select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`)
	require.NoError(t, err)
	b.pool.Reset() // or commit would get one of the dead ones
	b.commit(1)
	b.requireExactlyOnce(1)
	b.listening()
}

func TestBatchInHandIsFinishedWhenTheRelayIsStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := b.holdMark()
	b.commit(10)
	r := b.run()
	b.heldRelay()

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	select {
	case <-stopped:
		t.Fatal("the relay left its batch")
	case <-time.After(100 * time.Millisecond):
	}
	release()
	<-stopped
	require.Zero(t, b.unmarked())
	require.EqualValues(t, 10, b.sent.Load())
}
