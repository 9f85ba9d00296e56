package eventbus_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
)

var (
	errDown    = errs.New(errs.Unavailable, "shop_down", "The shop is closed.")
	errRefused = errs.New(errs.Invalid, "thing_refused", "We do not take this.")
)

func consumer(handle func(context.Context, cloudevents.Event) error) eventbus.Consumer {
	return eventbus.Consumer{Stream: stream.Name, Durable: "shelf", Handle: handle}
}

func TestIncompleteConsumerIsAnError(t *testing.T) {
	t.Parallel()
	require.Error(t, eventbus.Consume(t.Context(), nil, silent, eventbus.Consumer{Stream: "SHOP", Durable: "shelf"}))
}

func TestConsumerGetsTheSubjectsItAskedFor(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 10)
	b.ensureStream()
	b.publish(sold, 1)
	b.publish(gone, 2)
	b.publish(sold, 3)
	c := consumer(got.handle)
	c.Subjects = []string{sold.Type}
	b.consume(c)

	both := []int{got.next(t), got.next(t)}
	slices.Sort(both)
	require.Equal(t, []int{1, 3}, both)
	b.settled("shelf")
	require.Empty(t, got)
}

func TestEventIsDeliveredAgainUntilItsHandlerSucceeds(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"unavailable":     errDown,
		"outcome unknown": errs.New(errs.OutcomeUnknown, "lost", "Lost."),
		"unforeseen":      errors.New("bug"),
		"panic":           nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.ensureStream()
			b.publish(sold, 1)
			var tries atomic.Int32
			done := make(chan struct{})
			metrics := eventbus.NewMetrics(prometheus.NewRegistry())
			c := consumer(func(context.Context, cloudevents.Event) error {
				switch {
				case tries.Add(1) == 4:
					close(done)
					return nil
				case failure == nil:
					panic("bug")
				default:
					return failure
				}
			})
			c.Metrics = metrics
			began := time.Now()
			b.consume(c)
			<-done
			require.Greater(t, time.Since(began), 75*(1+2+4)*time.Millisecond, "later and later")
			b.settled("shelf")
			require.EqualValues(t, 4, tries.Load())
			require.Empty(t, b.deadLetters())
		})
	}
}

func TestMessageThatCannotBeHandledBecomesADeadLetterAndBlocksNobody(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 10)
	b.ensureStream()
	_, err := b.js.Publish(t.Context(), "shop.garbage", []byte("{not JSON"))
	require.NoError(t, err)
	_, err = b.js.Publish(t.Context(), "shop.garbage", []byte(`{"specversion":"1.0","id":"x"}`))
	require.NoError(t, err)
	refused := b.publish(sold, 13)
	b.publish(sold, 1)

	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	c := consumer(func(ctx context.Context, event cloudevents.Event) error {
		if event.ID() == refused {
			return errRefused.WithCause(errors.New("two\nlines"))
		}
		return got.handle(ctx, event)
	})
	c.Parallel = 1
	c.Metrics = eventbus.NewMetrics(registry)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- eventbus.Consume(ctx, b.js, slog.New(slog.NewJSONHandler(&log, nil)), c) }()
	require.Equal(t, 1, got.next(t))
	b.settled("shelf")
	cancel()
	require.NoError(t, <-done)

	letters := b.deadLetters()
	require.Len(t, letters, 3)
	for _, letter := range letters {
		require.Equal(t, "deadletter.shelf", letter.Subject)
		require.Equal(t, "SHOP", letter.Header.Get(eventbus.HeaderStream))
	}
	require.Equal(t, "{not JSON", string(letters[0].Data))
	require.Equal(t, "event_undecodable", letters[0].Header.Get(eventbus.HeaderCode))
	require.Equal(t, "shop.garbage", letters[0].Header.Get(eventbus.HeaderSubject))
	require.Equal(t, refused, letters[2].Header.Get(eventbus.HeaderEventID))
	require.Equal(t, "thing_refused", letters[2].Header.Get(eventbus.HeaderCode))
	require.Equal(t, "3", letters[2].Header.Get(eventbus.HeaderSequence))
	require.Contains(t, letters[2].Header.Get(eventbus.HeaderError), "lines")

	require.Contains(t, log.String(), `"level":"ERROR"`)
	require.Contains(t, log.String(), refused)
	count, err := testutil.GatherAndCount(registry, "eventbus_dead_letters_total")
	require.NoError(t, err)
	require.Equal(t, 1, count)
}

func TestMessageThatFailsDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 200)
	b.ensureStream()
	failing := b.publish(sold, 0)
	var open atomic.Bool
	b.consume(consumer(func(ctx context.Context, event cloudevents.Event) error {
		if event.ID() == failing && !open.Load() {
			return errDown
		}
		return got.handle(ctx, event)
	}))
	for n := range 100 {
		b.publish(sold, n+1)
	}
	for range 100 {
		require.NotZero(t, got.next(t))
	}
	open.Store(true)
	require.Zero(t, got.next(t), "and it comes in the end")
}

func TestConsumerWaitsForItsStream(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 1)
	b.consume(consumer(got.handle))
	require.Eventually(t, func() bool {
		_, err := b.js.Stream(t.Context(), eventbus.DeadLetters.Name)
		return err == nil
	}, patience, beat, "the consumer has come so far")

	b.ensureStream()
	b.publish(sold, 7)
	require.Equal(t, 7, got.next(t))
}

func TestConsumerStartsBeforeNATSAndSurvivesItsLoss(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 10)
	b.ensureStream()
	b.publish(sold, 1)
	b.nats.Kill()
	b.consume(consumer(got.handle))
	b.nats.Restart()
	require.Equal(t, 1, got.next(t))
	b.settled("shelf")

	b.nats.Kill()
	b.nats.Restart()
	require.Eventually(t, func() bool {
		// A connection may look alive for a moment after its server has died; a round trip tells.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.js.Stream(ctx, stream.Name)
		return err == nil
	}, patience, beat)
	b.publish(sold, 2)
	require.Equal(t, 2, got.next(t))
}

func TestConsumerGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 10)
	b.ensureStream()
	stop := b.consume(consumer(got.handle))
	b.publish(sold, 1)
	require.Equal(t, 1, got.next(t))
	b.settled("shelf")
	stop()

	b.publish(sold, 2)
	b.consume(consumer(got.handle))
	require.Equal(t, 2, got.next(t))
}

func TestEndWaitsForTheHandlerThatRunsAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ensureStream()
	for n := range 5 {
		b.publish(sold, n)
	}
	started, finish := make(chan struct{}, 5), make(chan struct{})
	c := consumer(func(ctx context.Context, _ cloudevents.Event) error {
		started <- struct{}{}
		<-finish
		return ctx.Err()
	})
	c.Parallel = 2
	stop := b.consume(c)
	<-started
	<-started

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	select {
	case <-stopped:
		t.Fatal("the consumer left its handlers")
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	<-stopped
	require.Empty(t, started, "nothing new was begun")

	// What waited in the process is free at once, not after the 30 s of AckWait.
	got, began := make(handled, 10), time.Now()
	b.consume(consumer(got.handle))
	seen := []int{got.next(t), got.next(t), got.next(t)}
	slices.Sort(seen)
	require.Equal(t, []int{2, 3, 4}, seen)
	require.Less(t, time.Since(began), 10*time.Second)
	b.settled("shelf")
}

func TestSlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ensureStream()
	b.publish(sold, 1)
	const ackWait = time.Second
	var calls atomic.Int32
	finished := make(chan struct{})
	c := consumer(func(context.Context, cloudevents.Event) error {
		calls.Add(1)
		time.Sleep(3 * ackWait) // the work that takes longer than the server would wait
		close(finished)
		return nil
	}).WithAckWait(ackWait)
	b.consume(c)
	<-finished
	b.settled("shelf")
	require.EqualValues(t, 1, calls.Load())
}

func TestClosedConnectionEndsTheConsumer(t *testing.T) {
	t.Parallel()
	b, got := setup(t), make(handled, 1)
	b.ensureStream()
	js := b.nats.JetStream()
	done := make(chan error)
	go func() { done <- eventbus.Consume(t.Context(), js, silent, consumer(got.handle)) }()
	b.publish(sold, 1)
	got.next(t)
	js.Conn().Close()
	require.ErrorIs(t, <-done, jetstream.ErrConnectionClosed)
}
