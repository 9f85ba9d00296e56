package app_test

import (
	"context"
	"encoding/json"
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
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/app"
)

const patience = 20 * time.Second

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func settings(t *testing.T, dsn, natsURL string) app.Config {
	t.Helper()
	return app.Config{
		Config: service.Config{DatabaseURL: config.Secret(dsn), EdgeConfig: service.EdgeConfig{
			NATSURL: config.Secret(natsURL), PayloadKeys: config.Secret(seal.NewKey("test")),
			HTTPAddr: freeAddr(t), OpsAddr: freeAddr(t), DrainTimeout: 10 * time.Second,
		}},
		ReservationTTL: 2 * time.Hour,
	}
}

// start runs the service without Temporal and returns how to stop it and wait for it.
func start(t *testing.T, cfg app.Config) (stop func() error) {
	t.Helper()
	require.NoError(t, cfg.Validate())
	t.Setenv("TEMPORAL_ADDRESS", freeAddr(t))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, slog.New(slog.DiscardHandler), cfg) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			return context.DeadlineExceeded
		}
	}
}

func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "text/csv")
	if body == "" {
		r.Body, r.Header = http.NoBody, http.Header{}
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(raw)
}

// failing returns the names of the checks that fail.
func failing(t *testing.T, cfg app.Config) map[string]string {
	t.Helper()
	_, body := call(t, http.MethodGet, "http://"+cfg.OpsAddr+"/readyz", "")
	var answer struct{ Failing map[string]string }
	_ = json.Unmarshal([]byte(body), &answer) // Nothing fails in an answer that is none: the caller tries again.
	return answer.Failing
}

func TestServiceLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // It looks for leaked goroutines.
	dsn := pgtest.DSN(t, app.Schema()...)
	before := goleak.IgnoreCurrent()
	t.Run("serves, publishes, expires and drains", func(t *testing.T) { servesAndDrains(t, dsn) })
	goleak.VerifyNone(t, before)
}

func servesAndDrains(t *testing.T, dsn string) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), `
		INSERT INTO reservations (id, order_id, state, lines, expires_at) VALUES ('rsv_1', 'ord_1', 'held', '[]', now())`)
	require.NoError(t, err)
	nats := natstest.Start(t)
	js := nats.JetStream()
	cfg := settings(t, dsn, nats.URL())
	stop := start(t, cfg)
	require.Eventually(t, func() bool {
		f := failing(t, cfg)
		return len(f) == 1 && f["worker"] != ""
	}, patience, 20*time.Millisecond, "all is ready but the worker")

	status, body := call(t, http.MethodPut, "http://"+cfg.HTTPAddr+"/v1/stock", "sku,warehouse,on_hand\nMUG,BER,5\n")
	require.Equal(t, http.StatusOK, status, body)
	requirePublished(t, js, inventory.EventImported.Type)
	requirePublished(t, js, inventory.EventExpired.Type)
	status, metrics := call(t, http.MethodGet, "http://"+cfg.OpsAddr+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, metrics, `inventory_reservations_total{outcome="expired"} 1`)
	require.Contains(t, metrics, `inventory_imported_lines_total 1`)

	require.NoError(t, stop())
}

func requirePublished(t *testing.T, js jetstream.JetStream, subject string) {
	t.Helper()
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), inventory.Stream.Name)
		if err != nil {
			return false
		}
		_, err = stream.GetLastMsgForSubject(t.Context(), subject)
		return err == nil
	}, patience, 20*time.Millisecond, subject)
}

func TestServiceStaysUpWhileEverythingIsAway(t *testing.T) { //nolint:paralleltest // It sets the environment.
	nowhere := freeAddr(t)
	cfg := settings(t, "postgres://nobody@"+nowhere+"/none?sslmode=disable", "nats://"+nowhere)
	stop := start(t, cfg)
	require.Eventually(t, func() bool {
		status, _ := call(t, http.MethodGet, "http://"+cfg.OpsAddr+"/livez", "")
		return status == http.StatusOK && len(failing(t, cfg)) == 4
	}, patience, 20*time.Millisecond)
	for _, request := range [][3]string{
		{http.MethodGet, "/v1/stock", ""},
		{http.MethodGet, "/v1/reservations", ""},
		{http.MethodGet, "/v1/stock/A", ""},
		{http.MethodPut, "/v1/stock", "sku,warehouse,on_hand\nMUG,BER,5\n"},
	} {
		status, body := call(t, request[0], "http://"+cfg.HTTPAddr+request[1], request[2])
		require.Equal(t, http.StatusServiceUnavailable, status, body)
		require.Contains(t, body, "database_unavailable")
	}
	require.NoError(t, stop())
}

func TestABusyPortIsSaidAtOnce(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	t.Setenv("TEMPORAL_ADDRESS", freeAddr(t))
	for _, busy := range []func(*app.Config){
		func(c *app.Config) { c.HTTPAddr = l.Addr().String() },
		func(c *app.Config) { c.OpsAddr = l.Addr().String() },
	} {
		cfg := settings(t, "postgres://nobody@"+freeAddr(t)+"/none", "nats://"+freeAddr(t))
		busy(&cfg)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := app.Run(ctx, slog.New(slog.DiscardHandler), cfg)
		require.NoError(t, ctx.Err())
		cancel()
		require.ErrorContains(t, err, "address already in use")
	}
}

func TestConfigurationNamesEveryMistake(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "postgres://x", "nats://x")
	require.NoError(t, cfg.Validate())
	cfg.DrainTimeout, cfg.ReservationTTL, cfg.PayloadKeys = 0, time.Millisecond, "secret"
	err := cfg.Validate()
	for _, name := range []string{"DRAIN_TIMEOUT", "RESERVATION_TTL", "PAYLOAD_KEYS"} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "secret")
}

func TestAHoldOutlastsTheLongestSagaByDefault(t *testing.T) { //nolint:paralleltest // It sets the environment.
	for variable, value := range map[string]string{
		"DATABASE_URL": "postgres://x", "NATS_URL": "nats://x", "PAYLOAD_KEYS": seal.NewKey("test"),
	} {
		t.Setenv(variable, value)
	}
	cfg, err := config.Load[app.Config]()
	require.NoError(t, err)
	const authorize, book, capture = 20 * time.Minute, 30 * time.Minute, 20 * time.Minute // The saga's deadlines.
	require.Greater(t, cfg.ReservationTTL, authorize+book+capture)
}

func TestTheProgramSaysInOneSentenceWhyItCannotRun(t *testing.T) {
	const usage = "usage: inventory healthcheck | migrate down | migrate status | migrate up | serve | version"
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		code int
		says string
	}{
		"no command":      {nil, nil, 2, usage},
		"unknown command": {[]string{"server"}, nil, 2, usage},
		"no settings":     {[]string{"serve"}, map[string]string{"DATABASE_URL": ""}, 1, "DATABASE_URL"},
		"bad settings":    {[]string{"migrate", "up"}, map[string]string{"DATABASE_URL": "x", "LOG_FORMAT": "xml"}, 1, "xml"},
		"no database": {
			[]string{"migrate", "up"},
			map[string]string{"DATABASE_URL": "postgres://nobody@" + freeAddr(t) + "/none"},
			1,
			"inventory: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			var out, problems strings.Builder
			require.Equal(t, c.code, service.Execute(t.Context(), "inventory", c.args, app.Commands(), &out, &problems))
			require.Contains(t, problems.String(), c.says)
		})
	}
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	t.Setenv("DATABASE_URL", pgtest.DSN(t))
	var log, problems strings.Builder
	for range 2 {
		require.Zero(t, service.Execute(t.Context(), "inventory", []string{"migrate", "up"}, app.Commands(), &log, &problems), &problems)
	}
	require.Equal(t, 1, strings.Count(log.String(), "00001_stock.sql"))
}
