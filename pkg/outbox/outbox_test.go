package outbox_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
)

func TestEventsArriveInOrderAsTheyWereAppended(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := b.commit(3)
	_, err := b.pool.Exec(t.Context(), `update outbox set headers = '{"Traceparent": "00-1-2-03"}' where seq = 1`)
	require.NoError(t, err)
	b.run()
	b.requireExactlyOnce(3)

	s, err := b.js.Stream(t.Context(), stream.Name)
	require.NoError(t, err)
	for n, want := range events {
		msg, err := s.GetMsg(t.Context(), uint64(n)+1)
		require.NoError(t, err)
		require.Equal(t, want.Type(), msg.Subject)
		require.Equal(t, want.ID(), msg.Header.Get(jetstream.MsgIDHeader))
		require.Equal(t, "application/cloudevents+json", msg.Header.Get("Content-Type"))

		var got cloudevents.Event
		require.NoError(t, got.UnmarshalJSON(msg.Data))
		require.Equal(t, want.String(), got.String())
		if n == 0 {
			require.Equal(t, "00-1-2-03", msg.Header.Get("Traceparent"))
		}
	}
}

func TestRolledBackTransactionPublishesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run()
	errStop := errors.New("stop")
	err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		require.NoError(t, outbox.Append(t.Context(), tx, event(t, 1), event(t, 2)))
		return errStop
	})
	require.ErrorIs(t, err, errStop)

	b.commit(1) // proof that the relay has looked since
	b.requireExactlyOnce(1)
	require.EqualValues(t, 1, b.sent.Load())
}

func TestEventThatCouldNeverBePublishedIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, spoil := range map[string]func(*cloudevents.Event){
		"no id":            func(e *cloudevents.Event) { e.Context = &cloudevents.EventContextV1{Type: "shop.thing.sold.v1"} },
		"wildcard":         func(e *cloudevents.Event) { e.SetType("shop.*.sold.v1") },
		"greater wildcard": func(e *cloudevents.Event) { e.SetType("shop.>") },
		"empty token":      func(e *cloudevents.Event) { e.SetType("shop..sold") },
		"space":            func(e *cloudevents.Event) { e.SetType("shop.thing sold") },
		"too large": func(e *cloudevents.Event) {
			require.NoError(t, e.SetData("application/json", strings.Repeat("x", 600<<10)))
		},
	} {
		err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
			bad := event(t, 1)
			spoil(&bad)
			return outbox.Append(t.Context(), tx, event(t, 0), bad)
		})
		require.Error(t, err, name)
	}
	require.Zero(t, b.unmarked())
}

func TestAppendOfNothingDoesNothing(t *testing.T) {
	t.Parallel()
	require.NoError(t, outbox.Append(t.Context(), nil))
}

func TestARepublishedEventIsSentAgainUnderItsIDAndWaitsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := b.commit(3)
	_, err := b.pool.Exec(t.Context(), `
		update outbox set published_at = now(), created_at = now() - interval '1 hour' where seq = 1;
		delete from outbox where seq = 2`)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
			return outbox.Republish(t.Context(), tx, events...)
		}))
	}
	var ids []string
	var late int
	require.NoError(t, b.pool.QueryRow(t.Context(), `
		select array_agg(event_id order by seq), count(*) filter (where created_at < now() - interval '1 minute')
		from outbox where published_at is null`).Scan(&ids, &late))
	require.Equal(t, []string{events[2].ID(), events[0].ID(), events[1].ID()}, ids)
	require.Zero(t, late, "it waits from now on")
	b.run()
	b.requireExactlyOnce(3)
}

func TestEventWithoutAStreamDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := postgres.InTx(t.Context(), b.pool, func(tx pgx.Tx) error {
		astray := event(t, 0)
		astray.SetType("nowhere.thing.lost.v1")
		return outbox.Append(t.Context(), tx, astray, event(t, 1))
	})
	require.NoError(t, err)
	b.run()
	b.commit(1)
	require.Eventually(t, func() bool { return b.inStream() == 2 && b.unmarked() == 1 }, patience, beat)
}

func TestPublishedEventsAreRemovedAfterAWeek(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.commit(4)
	_, err := b.pool.Exec(t.Context(), `
		update outbox set published_at = now() - interval '8 days' where seq <= 2;
		update outbox set published_at = now() - interval '6 days' where seq = 3`)
	require.NoError(t, err)
	b.run()
	require.Eventually(t, func() bool {
		var left []int
		err := b.pool.QueryRow(t.Context(), "select array_agg(seq order by seq) from outbox").Scan(&left)
		return err == nil && len(left) == 2 && left[0] == 3 && left[1] == 4
	}, patience, beat)
}

func TestCommitWakesTheRelay(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"wake", "notify"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if way == "wake" {
				_, err := b.pool.Exec(t.Context(), "drop trigger outbox_notify on outbox")
				require.NoError(t, err)
			}
			r := b.run(outbox.PollEvery(time.Hour))
			b.listening()
			// The first ones may owe it to the relay's start.
			for n := range 5 {
				began := time.Now()
				b.commit(1)
				if way == "wake" {
					r.Wake()
				}
				require.Eventually(t, func() bool { return b.inStream() == n+1 }, patience, time.Millisecond)
				require.Less(t, time.Since(began), time.Second)
			}
			b.requireExactlyOnce(5)
		})
	}
}
