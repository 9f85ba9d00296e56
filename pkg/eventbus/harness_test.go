package eventbus_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
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
	gone   = contract.Event[int]{Type: "shop.thing.gone.v1"}
	silent = slog.New(slog.DiscardHandler)
)

type bundle struct {
	t    *testing.T
	nats *natstest.Server
	js   jetstream.JetStream
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, nats: natstest.Start(t)}
	b.js = b.nats.JetStream()
	return b
}

func (b *bundle) ensureStream() {
	b.t.Helper()
	require.NoError(b.t, eventbus.EnsureStream(b.t.Context(), b.js, stream))
}

// publish publishes an event that carries n and returns its id.
func (b *bundle) publish(kind contract.Event[int], n int) string {
	b.t.Helper()
	event, err := kind.New(fmt.Sprint("thing ", n), time.Now(), n)
	require.NoError(b.t, err)
	payload, err := event.MarshalJSON()
	require.NoError(b.t, err)
	_, err = b.js.Publish(b.t.Context(), event.Type(), payload, jetstream.WithMsgID(event.ID()))
	require.NoError(b.t, err)
	return event.ID()
}

// consume runs a consumer, and returns what ends it and waits for its end.
func (b *bundle) consume(c eventbus.Consumer) (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	js := b.nats.JetStream()
	done := make(chan error, 1)
	go func() {
		done <- eventbus.Consume(ctx, js, silent, c)
		close(done)
	}()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("the consumer returned %v", err)
		}
	}
	b.t.Cleanup(stop)
	return stop
}

// handled is a handler that passes on the numbers that events carry.
type handled chan int

func (h handled) handle(_ context.Context, event cloudevents.Event) error {
	var n int
	if err := event.DataAs(&n); err != nil {
		return err
	}
	h <- n
	return nil
}

func (h handled) next(t *testing.T) int {
	t.Helper()
	select {
	case n := <-h:
		return n
	case <-time.After(patience):
		t.Fatal("no event came")
		return 0
	}
}

// settled waits until the consumer has nothing more to do.
func (b *bundle) settled(durable string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		c, err := b.js.Consumer(b.t.Context(), stream.Name, durable)
		if err != nil {
			return false
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	}, patience, beat)
}

func (b *bundle) deadLetters() []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), eventbus.DeadLetters.Name)
	require.NoError(b.t, err)
	var letters []*jetstream.RawStreamMsg
	for seq := range s.CachedInfo().State.LastSeq {
		letter, err := s.GetMsg(b.t.Context(), seq+1)
		require.NoError(b.t, err)
		letters = append(letters, letter)
	}
	return letters
}
