package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/app"
	"github.com/orderflow/orderflow/services/payments"
)

const (
	patience = 20 * time.Second
	mugs     = `{
		"customer_id": "cus_1", "currency": "EUR", "payment_token": "tok_visa",
		"lines": [{"sku": "MUG-1", "quantity": 2, "unit_price": 1250}],
		"shipping_address": {"name": "Ada", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH",
			"country": "GB"}
	}`
)

// Whatever the service starts has ended when Run returns. Its worker finds no Temporal here, whatever else runs on the
// machine.
func TestMain(m *testing.M) {
	if err := os.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// process is the service as a process would run it.
type process struct {
	api, ops string
	stop     context.CancelFunc
	ended    chan error
}

func start(t *testing.T, databaseURL, natsURL string) process {
	t.Helper()
	return startWith(t, app.Run, databaseURL, natsURL)
}

func startWith(
	t *testing.T, run func(context.Context, *slog.Logger, service.Config) error, databaseURL, natsURL string,
) process {
	t.Helper()
	cfg := service.Config{DatabaseURL: config.Secret(databaseURL), EdgeConfig: service.EdgeConfig{
		NATSURL: config.Secret(natsURL), HTTPAddr: freeAddr(t), OpsAddr: freeAddr(t),
		PayloadKeys: config.Secret(seal.NewKey("test")), DrainTimeout: 10 * time.Second,
	}}
	require.NoError(t, cfg.Validate())
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	p := process{api: "http://" + cfg.HTTPAddr, ops: "http://" + cfg.OpsAddr, stop: stop, ended: make(chan error, 1)}
	go func() { p.ended <- run(ctx, slog.New(slog.DiscardHandler), cfg) }()
	t.Cleanup(stop)
	require.Eventually(t, func() bool { return p.status(t, p.ops+"/livez") == http.StatusOK }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return p.status(t, p.api+"/") == http.StatusNotFound }, patience, time.Millisecond)
	return p
}

func (p process) end(t *testing.T) {
	t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("the service does not end")
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// do sends a request over a connection of its own, and returns the answer; status 0 where there was none.
func (p process) do(t *testing.T, method, url, body string, header ...string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	var answer map[string]any
	_ = json.NewDecoder(res.Body).Decode(&answer) // Not every answer of the ops port is JSON.
	return res.StatusCode, answer
}

func (p process) status(t *testing.T, url string) int {
	t.Helper()
	status, _ := p.do(t, http.MethodGet, url, "")
	return status
}

func (p process) place(t *testing.T, header ...string) (int, string) {
	t.Helper()
	status, o := p.do(t, http.MethodPost, p.api+"/v1/orders", mugs, append([]string{"Idempotency-Key", id.New(id.Event)}, header...)...)
	orderID, _ := o["id"].(string)
	return status, orderID
}

func TestAPlacedOrderIsPublishedAndOtherServicesEventsReachItsTimeline(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t)
	p := start(t, pgtest.DSN(t, app.Schemas()...), bus.URL())
	defer p.end(t)
	status, orderID := p.place(t)
	require.Equal(t, http.StatusAccepted, status)

	js := bus.JetStream()
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), orders.Stream.Name)
		if err != nil {
			return false
		}
		msg, err := stream.GetLastMsgForSubject(t.Context(), orders.EventPlaced.Type)
		return err == nil && bytes.Contains(msg.Data, []byte(orderID))
	}, patience, 5*time.Millisecond)

	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: payments.Stream.Name, Subjects: payments.Stream.Subjects,
	})
	require.NoError(t, err)
	event, err := payments.EventAuthorized.New(orderID, time.Now(), payments.Changed{OrderID: orderID, State: "authorized"})
	require.NoError(t, err)
	payload, err := event.MarshalJSON()
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), event.Type(), payload)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, o := p.do(t, http.MethodGet, p.api+"/v1/orders/"+orderID, "")
		return o["payment_status"] == "authorized"
	}, patience, 5*time.Millisecond)
}

func TestTheServiceTakesOrdersWhileNATSAndTemporalAreAway(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t)
	bus.Kill()
	p := start(t, pgtest.DSN(t, app.Schemas()...), bus.URL())
	defer p.end(t)

	status, ready := p.do(t, http.MethodGet, p.ops+"/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	for _, part := range []string{"nats", "stream", "worker"} {
		require.Contains(t, ready["failing"], part)
	}
	status, orderID := p.place(t)
	require.Equal(t, http.StatusAccepted, status)

	bus.Restart()
	require.Eventually(t, func() bool {
		stream, err := bus.JetStream().Stream(t.Context(), orders.Stream.Name)
		if err != nil {
			return false
		}
		msg, err := stream.GetLastMsgForSubject(t.Context(), orders.EventPlaced.Type)
		return err == nil && bytes.Contains(msg.Data, []byte(orderID))
	}, patience, 5*time.Millisecond)
}

func TestWithoutItsDatabaseTheServiceSaysSo(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t)
	p := start(t, "postgres://nobody@"+freeAddr(t)+"/nothing?connect_timeout=2", bus.URL())
	defer p.end(t)

	status, problem := p.do(t, http.MethodPost, p.api+"/v1/orders", mugs, "Idempotency-Key", "k")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "database_unavailable", problem["code"])
	_, ready := p.do(t, http.MethodGet, p.ops+"/readyz", "")
	require.Contains(t, ready["failing"], "database")
}

func TestRequestsThatWaitAreAnsweredWhenTheServiceStops(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t)
	p := start(t, pgtest.DSN(t, app.Schemas()...), bus.URL())
	type answer struct {
		status  int
		orderID string
	}
	answers := make(chan answer, 10)
	for range cap(answers) {
		go func() {
			status, o := p.do(t, http.MethodPost, p.api+"/v1/orders", mugs, "Idempotency-Key", id.New(id.Event),
				"Prefer", "wait=60", "Orderflow-Subject", "shop")
			orderID, _ := o["id"].(string)
			answers <- answer{status, orderID}
		}()
	}
	require.Eventually(t, func() bool {
		_, page := p.do(t, http.MethodGet, p.api+"/v1/orders", "", "Orderflow-Subject", "shop")
		items, _ := page["items"].([]any)
		return len(items) == cap(answers)
	}, patience, 5*time.Millisecond)
	p.end(t)
	for range cap(answers) {
		a := <-answers
		require.Equal(t, http.StatusAccepted, a.status)
		require.NotEmpty(t, a.orderID)
	}
}

func TestABusyPortEndsTheServiceWithAReason(t *testing.T) {
	t.Parallel()
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, busy.Close()) }()
	cfg := service.Config{DatabaseURL: "postgres://nobody@127.0.0.1:1/x", EdgeConfig: service.EdgeConfig{
		NATSURL: "nats://127.0.0.1:1", HTTPAddr: busy.Addr().String(), OpsAddr: freeAddr(t),
		PayloadKeys: config.Secret(seal.NewKey("test")), DrainTimeout: time.Second,
	}}
	require.ErrorContains(t, app.Run(t.Context(), slog.New(slog.DiscardHandler), cfg), "address already in use")
	cfg.HTTPAddr, cfg.OpsAddr = freeAddr(t), busy.Addr().String()
	require.ErrorContains(t, app.Run(t.Context(), slog.New(slog.DiscardHandler), cfg), "address already in use")
}

func TestMigrateAndWrongUseOfTheProgram(t *testing.T) {
	dsn := pgtest.DSN(t)
	t.Setenv("DATABASE_URL", dsn)
	var out, problems bytes.Buffer
	for range 2 {
		require.Zero(t, execute(t, []string{"migrate", "up"}, &out, &problems), problems.String())
	}
	require.Contains(t, out.String(), "migrated")

	for _, args := range [][]string{nil, {"dance"}, {"serve", "now"}} {
		problems.Reset()
		require.Equal(t, 2, execute(t, args, &out, &problems))
		require.Equal(t, "usage: orders healthcheck | migrate down | migrate status | migrate up | serve | version\n", problems.String())
	}

	problems.Reset()
	require.Equal(t, 1, execute(t, []string{"serve"}, &out, &problems))
	require.Contains(t, problems.String(), "NATS_URL")
	require.Contains(t, problems.String(), "PAYLOAD_KEYS")
	require.NotContains(t, problems.String(), dsn, "secrets are not printed")
}

func execute(t *testing.T, args []string, logs, problems io.Writer) int {
	t.Helper()
	return service.Execute(t.Context(), "orders", args, app.Commands(), logs, problems)
}
