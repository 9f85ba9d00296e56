package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/client"
	"github.com/orderflow/orderflow/services/shipping/internal/app"
)

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func settings(t *testing.T, dsn, natsURL string) app.Config {
	t.Helper()
	return app.Config{
		Config: service.Config{DatabaseURL: config.Secret(dsn), EdgeConfig: service.EdgeConfig{
			NATSURL: config.Secret(natsURL), PayloadKeys: config.Secret(seal.NewKey("test")),
			HTTPAddr: freeAddr(t), OpsAddr: freeAddr(t), DrainTimeout: 10 * time.Second,
		}},
		Carrier: "sandbox", CarrierTimeout: 5 * time.Second, SandboxSlow: time.Second,
	}
}

// start runs the service and returns how to stop it, which waits and returns its error.
func start(t *testing.T, cfg app.Config) (stop func() error) {
	t.Helper()
	require.NoError(t, cfg.Validate())
	// No Temporal is there, and none comes.
	t.Setenv("TEMPORAL_ADDRESS", freeAddr(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, slog.New(slog.DiscardHandler), cfg) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return context.DeadlineExceeded
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func failing(t *testing.T, cfg app.Config) map[string]string {
	t.Helper()
	_, body := get(t, "http://"+cfg.OpsAddr+"/readyz")
	var answer struct{ Failing map[string]string }
	_ = json.Unmarshal([]byte(body), &answer)
	return answer.Failing
}

func TestServiceLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // It looks for leaked goroutines.
	dsn := pgtest.DSN(t, app.Schema()...)
	before := goleak.IgnoreCurrent()
	t.Run("serves, publishes and drains", func(t *testing.T) { servesPublishesAndDrains(t, dsn) })
	goleak.VerifyNone(t, before)
}

func servesPublishesAndDrains(t *testing.T, dsn string) {
	t.Helper()
	nats := natstest.Start(t)
	js := nats.JetStream()
	cfg := settings(t, dsn, nats.URL())
	stop := start(t, cfg)
	require.Eventually(t, func() bool {
		f := failing(t, cfg)
		return len(f) == 1 && f["worker"] != ""
	}, 20*time.Second, 20*time.Millisecond, "all is ready but the worker")

	transport := &http.Transport{DisableKeepAlives: true}
	c, err := client.NewClientWithResponses("http://"+cfg.HTTPAddr, client.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	order := id.New(id.Order)
	res, err := c.BookShipmentWithResponse(t.Context(), &client.BookShipmentParams{IdempotencyKey: "k"}, client.BookingRequest{
		OrderID: order, FulfilmentID: "1", Warehouse: "berlin", Items: []client.Item{{Sku: "TEA-1", Quantity: 1}},
		To: client.Address{Name: "Ada", Line1: "Street 1", City: "Berlin", PostalCode: "10115", Country: "DE"},
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, res.StatusCode(), string(res.Body))

	stream, err := js.Stream(t.Context(), shipping.Stream.Name)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		msg, err := stream.GetLastMsgForSubject(t.Context(), shipping.EventBooked.Type)
		return err == nil && jsonField(msg, "subject") == order
	}, 20*time.Second, 20*time.Millisecond)
	status, metrics := get(t, "http://"+cfg.OpsAddr+"/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, metrics, `shipping_shipment_changes_total{state="booked"} 1`)
	require.Contains(t, metrics, `shipping_carrier_call_seconds_count{call="submit",outcome="ok"} 1`)

	require.NoError(t, stop())
}

func jsonField(msg *jetstream.RawStreamMsg, name string) string {
	var fields map[string]any
	if json.Unmarshal(msg.Data, &fields) != nil {
		return ""
	}
	return fmt.Sprint(fields[name])
}

func TestServiceStaysUpWhileEverythingIsAway(t *testing.T) { //nolint:paralleltest // It sets the environment.
	nowhere := freeAddr(t)
	cfg := settings(t, "postgres://nobody@"+nowhere+"/none?sslmode=disable", "nats://"+nowhere)
	stop := start(t, cfg)
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+cfg.OpsAddr+"/livez")
		return status == http.StatusOK && len(failing(t, cfg)) == 4
	}, 20*time.Second, 20*time.Millisecond)
	status, body := get(t, "http://"+cfg.HTTPAddr+"/v1/shipments")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	require.Contains(t, body, "database_unavailable")
	require.NoError(t, stop())
}

func TestBusyPortIsSaidAtOnce(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	cfg := settings(t, "postgres://nobody@127.0.0.1:1/none", "nats://127.0.0.1:1")
	cfg.HTTPAddr = l.Addr().String()
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	err = app.Run(t.Context(), slog.New(slog.DiscardHandler), cfg)
	require.ErrorContains(t, err, "address already in use")
}

func TestConfigurationNamesEveryMistake(t *testing.T) {
	t.Parallel()
	good := settings(t, "postgres://x", "nats://x")
	require.NoError(t, good.Validate())
	for want, change := range map[string]func(*app.Config){
		"PAYLOAD_KEYS":    func(c *app.Config) { c.PayloadKeys = "x" },
		"CARRIER \"dhl\"": func(c *app.Config) { c.Carrier = "dhl" },
		"CARRIER_TIMEOUT": func(c *app.Config) { c.CarrierTimeout = 8 * time.Second },
		"DRAIN_TIMEOUT":   func(c *app.Config) { c.DrainTimeout = time.Second },
		"SANDBOX_SLOW":    func(c *app.Config) { c.SandboxSlow = -1 },
	} {
		cfg := good
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
	}
	cfg := good
	cfg.Carrier, cfg.PayloadKeys = "dhl", "x"
	require.ErrorContains(t, cfg.Validate(), "CARRIER")
	require.ErrorContains(t, cfg.Validate(), "PAYLOAD_KEYS")
}

func TestMigrateMayRunAgain(t *testing.T) {
	t.Setenv("DATABASE_URL", pgtest.DSN(t))
	for range 2 {
		require.Zero(t, execute(t, io.Discard, "migrate", "up"))
	}
}

func TestServeWithoutSettingsNamesThem(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Setenv("NATS_URL", "")
	t.Setenv("PAYLOAD_KEYS", "")
	var problems strings.Builder
	require.Equal(t, 1, execute(t, &problems, "serve"))
	for _, name := range []string{"DATABASE_URL", "NATS_URL", "PAYLOAD_KEYS"} {
		require.Contains(t, problems.String(), name)
	}
}

func execute(t *testing.T, problems io.Writer, args ...string) int {
	t.Helper()
	return service.Execute(t.Context(), "shipping", args, app.Commands(), io.Discard, problems)
}
