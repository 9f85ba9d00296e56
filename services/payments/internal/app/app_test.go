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

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/app"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

const patience = 30 * time.Second

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
		Gateway: app.GatewaySandbox, GatewayTimeout: 5 * time.Second, GatewayMargin: 5 * time.Second,
	}
}

// start runs the service without Temporal. stop tells it to end, waits, and returns what it said.
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

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(raw)
}

// failing returns the checks that fail.
func failing(t *testing.T, cfg app.Config) map[string]string {
	t.Helper()
	_, body := get(t, "http://"+cfg.OpsAddr+"/readyz")
	var answer struct{ Failing map[string]string }
	_ = json.Unmarshal([]byte(body), &answer) // Nothing fails in an answer that is none: the caller tries again.
	return answer.Failing
}

func TestTheServiceLeavesNothingBehind(t *testing.T) { //nolint:paralleltest // It looks for leaked goroutines.
	dsn := pgtest.DSN(t, app.Schemas(app.GatewaySandbox)...)
	before := goleak.IgnoreCurrent()
	t.Run("serves, publishes and drains", func(t *testing.T) {
		nats := natstest.Start(t)
		cfg := settings(t, dsn, nats.URL())
		resumed := leaveRefund(t, dsn)
		stop := start(t, cfg)
		require.Eventually(t, func() bool {
			f := failing(t, cfg)
			return len(f) == 1 && f["worker"] != ""
		}, patience, 20*time.Millisecond, "all is ready but the worker")
		status, body := get(t, "http://"+cfg.HTTPAddr+"/v1/payments")
		require.Equal(t, http.StatusOK, status, body)
		status, body = get(t, "http://"+cfg.HTTPAddr+"/v1/sandbox/outage")
		require.Equal(t, http.StatusOK, status, body)

		require.Eventually(t, func() bool { return resumed(cfg) }, patience, 20*time.Millisecond)
		requirePublishes(t, dsn, nats)
		_, metrics := get(t, "http://"+cfg.OpsAddr+"/metrics")
		require.Contains(t, metrics, `payments_states_total{state="captured"} 0`)
		require.Contains(t, metrics, `payments_gateway_breaker_open{operation="authorize"} 0`)
		require.NoError(t, stop())
	})
	goleak.VerifyNone(t, before)
}

// leaveRefund leaves a refund behind as a process does that died before it asked the provider. The answer tells whether
// the service with the given settings has made it.
func leaveRefund(t *testing.T, dsn string) (resumed func(app.Config) bool) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	svc := payment.NewService(payment.Config{
		Pool: pool, Gateway: sandbox.New(pool), Timeout: time.Second, Margin: time.Second,
	})
	order := id.New(id.Order)
	_, err = svc.Authorize(t.Context(), payments.AuthorizeRequest{
		OrderID: order, CustomerID: "cus_1", Amount: money.Of(1999, "EUR"), Token: sandbox.TokenVisa,
	})
	require.NoError(t, err)
	made, err := svc.Capture(t.Context(), payments.CaptureRequest{OrderID: order})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO refunds (id, payment_id, origin, requested_by, idempotency_key, fingerprint, amount, reason, state,
			created_at, updated_at)
		VALUES ($1, $2, 'http', 'anna', 'k', '', 500, 'r', 'pending', now() - interval '1 minute',
			now() - interval '1 minute')`, id.New(id.Refund), made.PaymentID)
	require.NoError(t, err)
	return func(cfg app.Config) bool {
		_, body := get(t, "http://"+cfg.HTTPAddr+"/v1/payments/"+made.PaymentID)
		return strings.Contains(body, string(payment.PartiallyRefunded))
	}
}

// requirePublishes checks that an event appended to the outbox reaches the service's stream.
func requirePublishes(t *testing.T, dsn string, nats *natstest.Server) {
	t.Helper()
	pool, err := postgres.Open(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	event, err := payments.EventVoided.New(id.New(id.Order), time.Now(), payments.Changed{State: "voided"})
	require.NoError(t, err)
	require.NoError(t, postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		return outbox.Append(t.Context(), tx, event)
	}))
	js := nats.JetStream()
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), payments.Stream.Name)
		if err != nil {
			return false
		}
		_, err = stream.GetLastMsgForSubject(t.Context(), payments.EventVoided.Type)
		return err == nil
	}, patience, 20*time.Millisecond)
}

func TestTheServiceStaysUpWhileEverythingIsAway(t *testing.T) { //nolint:paralleltest // It sets the environment.
	nowhere := freeAddr(t)
	cfg := settings(t, "postgres://nobody@"+nowhere+"/none?sslmode=disable", "nats://"+nowhere)
	stop := start(t, cfg)
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+cfg.OpsAddr+"/livez")
		return status == http.StatusOK && len(failing(t, cfg)) == 4
	}, patience, 20*time.Millisecond)
	for _, path := range []string{
		"/v1/payments", "/v1/payments/pay_1", "/v1/fraud/settings", "/v1/sandbox/outage", "/v1/sandbox/charges",
	} {
		status, body := get(t, "http://"+cfg.HTTPAddr+path)
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

func TestSettingsNameEveryMistakeAndNoSecret(t *testing.T) {
	t.Parallel()
	cfg := settings(t, "postgres://x", "nats://x")
	cfg.Gateway, cfg.GatewayTimeout, cfg.GatewayMargin = app.GatewayStripe, time.Minute, 0
	cfg.DrainTimeout, cfg.PayloadKeys = 0, "hidden"
	err := cfg.Validate()
	for _, name := range []string{
		"STRIPE_API_KEY", "GATEWAY_TIMEOUT", "GATEWAY_MARGIN", "DRAIN_TIMEOUT", "PAYLOAD_KEYS",
	} {
		require.ErrorContains(t, err, name)
	}
	cfg.StripeAPIKey = "hidden"
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %v", cfg, cfg, cfg, err), "hidden")
	cfg.Gateway = "cash"
	require.ErrorContains(t, cfg.Validate(), "GATEWAY must be")
	require.ErrorContains(t, app.MigrateConfig{Gateway: "cash"}.Validate(), "GATEWAY must be")
}

func TestTheProgramSaysInOneSentenceWhyItCannotRun(t *testing.T) {
	const usage = "usage: payments healthcheck | migrate down | migrate status | migrate up | serve | version"
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		code int
		says string
	}{
		"no command":      {nil, nil, 2, usage},
		"unknown command": {[]string{"server"}, nil, 2, usage},
		"two commands":    {[]string{"serve", "migrate", "up"}, nil, 2, usage},
		"no settings":     {[]string{"serve"}, map[string]string{"DATABASE_URL": ""}, 1, "DATABASE_URL"},
		"no database": {
			[]string{"migrate", "up"}, map[string]string{"DATABASE_URL": "postgres://nobody@" + freeAddr(t) + "/none"}, 1, "payments:",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			var logs, problems strings.Builder
			require.Equal(t, c.code, service.Execute(t.Context(), "payments", c.args, app.Commands(), &logs, &problems))
			require.Contains(t, problems.String(), c.says)
		})
	}
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	t.Setenv("DATABASE_URL", pgtest.DSN(t))
	var log, problems strings.Builder
	for range 2 {
		require.Zero(t, service.Execute(t.Context(), "payments", []string{"migrate", "up"}, app.Commands(), &log, &problems), &problems)
	}
	for _, line := range []string{"00001_payments.sql", "00002_pending_refunds.sql", "00001_sandbox.sql"} {
		require.Equal(t, 1, strings.Count(log.String(), line), log.String())
	}
}

func TestTheSandboxsBooksAreMigratedOnlyWhereItIsTheProvider(t *testing.T) {
	t.Setenv("DATABASE_URL", pgtest.DSN(t))
	t.Setenv("GATEWAY", app.GatewayStripe)
	var status, problems strings.Builder
	require.Zero(t, service.Execute(t.Context(), "payments", []string{"migrate", "status"}, app.Commands(), &status, &problems), &problems)
	require.NotContains(t, status.String(), "00001_sandbox.sql")
}
