package starter_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/orchestrator/internal/starter"
	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 30 * time.Second
	beat     = 10 * time.Millisecond
)

var silent = slog.New(slog.DiscardHandler)

// bundle is a starter at work on a real stream, in a world without Temporal.
type bundle struct {
	js   jetstream.JetStream
	keys seal.Keyring
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{js: natstest.Start(t).JetStream(), keys: keyring(t, "ours")}
	require.NoError(t, eventbus.EnsureStream(t.Context(), b.js, orders.Stream))
	nowhere, err := client.NewLazyClient(client.Options{
		HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(silent),
	})
	require.NoError(t, err)

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- eventbus.Consume(ctx, b.js, silent, starter.New(nowhere, b.keys).Consumer()) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		nowhere.Close()
	})
	return b
}

func keyring(t *testing.T, name string) seal.Keyring {
	t.Helper()
	keys, err := seal.ParseKeyring(seal.NewKey(name))
	require.NoError(t, err)
	return keys
}

func (b *bundle) publish(t *testing.T, subject string, payload []byte) {
	t.Helper()
	_, err := b.js.Publish(t.Context(), subject, payload)
	require.NoError(t, err)
}

func publishEvent[T any](t *testing.T, b *bundle, kind contract.Event[T], data T) {
	t.Helper()
	event, err := kind.New("ord_1", time.Now(), data)
	require.NoError(t, err)
	payload, err := event.MarshalJSON()
	require.NoError(t, err)
	b.publish(t, kind.Type, payload)
}

func (b *bundle) place(t *testing.T, keys seal.Keyring, order any) {
	t.Helper()
	plain, err := json.Marshal(order)
	require.NoError(t, err)
	sealed, err := keys.Seal(plain)
	require.NoError(t, err)
	publishEvent(t, b, orders.EventPlaced, orders.Placed{OrderID: "ord_1", SealedOrder: sealed, PlacedAt: time.Now()})
}

// staysAndIsRetried waits until the one event has been delivered again, and wants it to be still in the stream's debt.
func (b *bundle) staysAndIsRetried(t *testing.T) {
	t.Helper()
	var state *jetstream.ConsumerInfo
	require.Eventually(t, func() bool {
		consumer, err := b.js.Consumer(t.Context(), orders.Stream.Name, "orchestrator-starter")
		if err != nil {
			return false
		}
		state, err = consumer.Info(t.Context())
		return err == nil && state.Delivered.Consumer >= 3
	}, patience, beat, "the event is not tried again")
	require.Equal(t, 1, state.NumAckPending)
	require.Zero(t, state.AckFloor.Stream)
	require.Zero(t, b.letters(t))
}

func (b *bundle) letters(t *testing.T) uint64 {
	t.Helper()
	stream, err := b.js.Stream(t.Context(), eventbus.DeadLetters.Name)
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

func TestAPlacedOrderWaitsForTemporal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.place(t, b.keys, orders.Order{CustomerID: "ada"})
	b.staysAndIsRetried(t)
}

func TestACancellationWaitsForTemporal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	publishEvent(t, b, orders.EventCancelRequested, orders.CancelRequested{OrderID: "ord_1", RequestedBy: "ada"})
	b.staysAndIsRetried(t)
}

// A key may be on its way to this process, under a new name or, by mistake, under the same: the order was accepted.
func TestAnOrderSealedWithAKeyThatIsYetToComeWaitsForIt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rotated", "ours"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.place(t, keyring(t, name), orders.Order{CustomerID: "ada"})
			b.staysAndIsRetried(t)
		})
	}
}

func TestAnEventThatNobodyCanReadIsADeadLetter(t *testing.T) {
	t.Parallel()
	event := func(data string) string {
		return `{"specversion":"1.0","id":"evt_1","source":"/orderflow/orders","type":"` + orders.EventPlaced.Type +
			`","datacontenttype":"application/json","data":` + data + `}`
	}
	for name, publish := range map[string]func(*testing.T, *bundle){
		"no event": func(t *testing.T, b *bundle) {
			t.Helper()
			b.publish(t, orders.EventPlaced.Type, []byte("nonsense"))
		},
		"data of another type": func(t *testing.T, b *bundle) {
			t.Helper()
			b.publish(t, orders.EventPlaced.Type, []byte(event(`{"order_id":1}`)))
		},
		"no data": func(t *testing.T, b *bundle) {
			t.Helper()
			b.publish(t, orders.EventPlaced.Type, []byte(event(`null`)))
		},
		"order of no name": func(t *testing.T, b *bundle) {
			t.Helper()
			b.publish(t, orders.EventPlaced.Type, []byte(event(`{"sealed_order":"AAAA"}`)))
		},
		"cancellation of something else": func(t *testing.T, b *bundle) {
			t.Helper()
			b.publish(t, orders.EventCancelRequested.Type, []byte(event(`{"order_id":["ord_1"]}`)))
		},
		"event of no known type": func(t *testing.T, b *bundle) {
			t.Helper()
			b.publish(t, orders.EventPlaced.Type, []byte(strings.Replace(event(`{}`), "placed", "misplaced", 1)))
		},
		"sealed something else": func(t *testing.T, b *bundle) {
			t.Helper()
			b.place(t, b.keys, "an order")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			require.Eventually(t, func() bool {
				_, err := b.js.Stream(t.Context(), eventbus.DeadLetters.Name)
				return err == nil
			}, patience, beat)
			publish(t, b)
			require.Eventually(t, func() bool { return b.letters(t) == 1 }, patience, beat)
		})
	}
}
