package service_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/service"
)

func TestWhatOthersLeanOnEndsLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var order []string
		relay := func(ctx context.Context) error {
			<-ctx.Done()
			order = append(order, "relay")
			return nil
		}
		worker := func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second) // It drains.
			order = append(order, "worker")
			return nil
		}
		time.AfterFunc(time.Second, stop)
		require.NoError(t, service.Run(ctx, []service.Part{relay}, worker))
		require.Equal(t, []string{"worker", "relay"}, order)
	})
}

func TestAPartThatFailsEndsAllOthers(t *testing.T) {
	t.Parallel()
	broken := errors.New("port is busy")
	waits := func(ctx context.Context) error { <-ctx.Done(); return nil }
	fails := func(context.Context) error { return broken }
	require.ErrorIs(t, service.Run(t.Context(), []service.Part{waits}, waits, fails), broken)
	require.ErrorIs(t, service.Run(t.Context(), []service.Part{fails}, waits), broken)
}

func TestAJobIsDoneAtEveryIntervalAndSoonerAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began := time.Now()
		var at []time.Duration
		job := func(context.Context) error {
			at = append(at, time.Since(began))
			if len(at) <= 2 {
				return errors.New("away")
			}
			if len(at) == 4 {
				stop()
			}
			return nil
		}
		require.NoError(t, service.Every(time.Hour, slog.New(slog.DiscardHandler), "a job", job)(ctx))
		require.Equal(t, []time.Duration{
			0, 100 * time.Millisecond, 300 * time.Millisecond, time.Hour + 300*time.Millisecond,
		}, at)
	})
}

type settings struct {
	Name string `env:"TEST_NAME,required,notEmpty"`
	Age  int    `env:"TEST_AGE,required"`
}

func (settings) Validate() error           { return nil }
func (settings) LogConfig() logging.Config { return logging.Config{Format: logging.JSON} }

func TestAProgramSaysInOneSentenceWhyItCannotRun(t *testing.T) {
	var logs, problems bytes.Buffer
	commands := map[string]service.Command{
		"serve": service.With(func(ctx context.Context, log *slog.Logger, s settings) error {
			log.InfoContext(ctx, "serving", "name", s.Name)
			return nil
		}),
	}
	execute := func(args ...string) int {
		problems.Reset()
		return service.Execute(t.Context(), "orders", args, commands, &logs, &problems)
	}
	for _, args := range [][]string{nil, {"dance"}, {"serve", "now"}} {
		require.Equal(t, 2, execute(args...))
		require.Equal(t, "usage: orders healthcheck | serve | version\n", problems.String())
	}
	require.Equal(t, 1, execute("serve"))
	require.Contains(t, problems.String(), "TEST_NAME")
	require.Contains(t, problems.String(), "TEST_AGE")
	require.Equal(t, 1, bytes.Count(problems.Bytes(), []byte("\n")), "one line")

	t.Setenv("TEST_NAME", "ada")
	t.Setenv("TEST_AGE", "36")
	require.Zero(t, execute("serve"), problems.String())
	require.Contains(t, logs.String(), `"name":"ada"`)
}

func TestAProgramTellsWhetherTheOneBesideItIsReady(t *testing.T) {
	ready := true
	ops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":"failing","failing":{"nats":"away"}}`+"\n")
		}
	}))
	defer ops.Close()
	_, port, err := net.SplitHostPort(ops.Listener.Addr().String())
	require.NoError(t, err)
	t.Setenv("OPS_ADDR", ":"+port)

	var out, problems bytes.Buffer
	execute := func() int {
		return service.Execute(t.Context(), "orders", []string{"healthcheck"}, nil, &out, &problems)
	}
	require.Zero(t, execute(), problems.String())
	ready = false
	require.Equal(t, 1, execute())
	require.Equal(t, `orders: not ready: {"status":"failing","failing":{"nats":"away"}}`+"\n", problems.String())
	problems.Reset()
	ops.Close()
	require.Equal(t, 1, execute())
	require.Contains(t, problems.String(), "refused")
	problems.Reset()
	t.Setenv("OPS_ADDR", "nowhere")
	require.Equal(t, 1, execute())
	require.Contains(t, problems.String(), "OPS_ADDR")
}

func TestAProgramSaysWhichOneItIs(t *testing.T) {
	t.Parallel()
	var out, problems bytes.Buffer
	require.Zero(t, service.Execute(t.Context(), "orders", []string{"version"}, nil, &out, &problems), problems.String())
	require.Regexp(t, `^orders dev \([0-9a-z]+\)\n$`, out.String())
}
