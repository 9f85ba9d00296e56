package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/app"
)

// replace ends a NATS server and starts another one at its address, whose disk is empty.
func replace(t *testing.T, bus *natstest.Server) {
	t.Helper()
	address, err := url.Parse(bus.URL())
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	bus.Kill()
	fresh, err := server.NewServer(&server.Options{
		Host: address.Hostname(), Port: port, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	require.NoError(t, err)
	fresh.Start()
	require.True(t, fresh.ReadyForConnections(patience))
	t.Cleanup(func() {
		fresh.Shutdown()
		fresh.WaitForShutdown()
	})
}

func TestAnAcceptedOrderSurvivesTheLossOfWhatNATSKept(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t)
	run := func(ctx context.Context, log *slog.Logger, cfg service.Config) error {
		return app.RunWatching(ctx, log, cfg, 50*time.Millisecond, time.Second)
	}
	dsn := pgtest.DSN(t, app.Schemas()...)
	p := startWith(t, run, dsn, bus.URL())
	status, orderID := p.place(t)
	require.Equal(t, http.StatusAccepted, status)

	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	require.Eventually(t, func() bool {
		var published bool
		err := pool.QueryRow(t.Context(), "SELECT bool_and(published_at IS NOT NULL) FROM outbox").Scan(&published)
		return err == nil && published
	}, patience, time.Millisecond)

	// The starter is away while all is lost. The service ensures its stream every minute; here it need not wait.
	replace(t, bus)
	js := bus.JetStream()
	require.Eventually(t, func() bool { return eventbus.EnsureStream(t.Context(), js, orders.Stream) == nil },
		patience, 5*time.Millisecond)
	heard := make(chan cloudevents.Event)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- eventbus.Consume(ctx, js, slog.New(slog.DiscardHandler), eventbus.Consumer{
			Stream: orders.Stream.Name, Durable: "starter", Subjects: []string{orders.EventPlaced.Type},
			Handle: func(ctx context.Context, event cloudevents.Event) error {
				select {
				case heard <- event:
				case <-ctx.Done():
				}
				return nil
			},
		})
	}()
	select {
	case event := <-heard:
		placed, err := orders.EventPlaced.Decode(event)
		require.NoError(t, err)
		require.Equal(t, orderID, placed.OrderID)
		require.NotEmpty(t, placed.SealedOrder)
	case <-time.After(patience):
		t.Fatal("the order is forgotten")
	}
	stop()
	require.NoError(t, <-ended)
	p.end(t)
}
