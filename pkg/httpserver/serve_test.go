package httpserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/httpserver"
)

var quiet = slog.New(slog.DiscardHandler)

// serve starts a server and returns its address, what stops it, and what ServeListener returns.
func serve(
	t *testing.T, h http.Handler, drain time.Duration,
) (addr string, stop context.CancelFunc, stopped <-chan error) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() {
		result <- httpserver.ServeListener(ctx, "test", listener, h, httpserver.Drain{Limit: drain}, quiet)
	}()
	return listener.Addr().String(), cancel, result
}

func fetch(ctx context.Context, client *http.Client, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), errors.Join(err, res.Body.Close())
}

func TestRequestsInFlightSucceedWhileNewConnectionsAreRefused(t *testing.T) {
	t.Parallel()
	const inFlight = 60
	var arrived sync.WaitGroup
	arrived.Add(inFlight)
	release := make(chan struct{})
	addr, stop, stopped := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		<-release
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, "done")
	}), time.Minute)

	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	var answered sync.WaitGroup
	var succeeded atomic.Int64
	for range inFlight {
		answered.Go(func() {
			if status, body, err := fetch(t.Context(), client, "http://"+addr); err == nil && status == 200 && body == "done" {
				succeeded.Add(1)
			}
		})
	}
	arrived.Wait()
	stop()
	require.Eventually(t, func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, time.Millisecond)
	close(release)
	answered.Wait()
	require.Equal(t, int64(inFlight), succeeded.Load())
	require.NoError(t, <-stopped)
}

func TestRequestsThatOutlastTheDrainAreCutOff(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	addr, stop, stopped := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}), 10*time.Millisecond)
	answer := make(chan error, 1)
	go func() {
		_, _, err := fetch(t.Context(), http.DefaultClient, "http://"+addr)
		answer <- err
	}()
	<-arrived
	stop()
	require.ErrorContains(t, <-stopped, "cut off")
	require.Error(t, <-answer)
}

func TestStreamsEndWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	addr, stop, stopped := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-httpserver.Draining(r.Context())
		_, _ = io.WriteString(w, "bye")
	}), time.Minute)
	answer := make(chan string, 1)
	go func() {
		_, body, _ := fetch(t.Context(), http.DefaultClient, "http://"+addr)
		answer <- body
	}()
	<-arrived
	stop()
	require.Equal(t, "bye", <-answer)
	require.NoError(t, <-stopped)
	require.Nil(t, httpserver.Draining(t.Context()))
}

func TestABusyPortIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	addr, _, _ := serve(t, http.NotFoundHandler(), time.Second)
	err := httpserver.Serve(t.Context(), "api", addr, http.NotFoundHandler(), httpserver.Drain{Limit: time.Second}, quiet)
	require.ErrorContains(t, err, "api server")
	require.ErrorContains(t, err, "address already in use")
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	addr, _, _ := serve(t, http.NotFoundHandler(), time.Second)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr, nil)
	require.NoError(t, err)
	req.Header.Set("Idempotency-Key", strings.Repeat("k", 200_000))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
}

func TestReadinessFollowsItsChecksAndEndsWithTheDrain(t *testing.T) {
	t.Parallel()
	ctx, drain := context.WithCancel(t.Context())
	var broken atomic.Bool
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	ops := httpserver.Ops(ctx, registry, map[string]func(context.Context) error{
		"database": func(context.Context) error {
			if broken.Load() {
				return errors.New("no route to host")
			}
			return nil
		},
		"events": func(ctx context.Context) error {
			_, limited := ctx.Deadline()
			require.True(t, limited)
			return nil
		},
	})
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		ops.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}

	status, _ := get("/readyz")
	require.Equal(t, http.StatusOK, status)

	broken.Store(true)
	status, body := get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	var answer struct{ Failing map[string]string }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, map[string]string{"database": "no route to host"}, answer.Failing)
	status, _ = get("/livez")
	require.Equal(t, http.StatusOK, status, "a restart would not help")

	broken.Store(false)
	drain()
	status, body = get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "draining")
	status, _ = get("/livez")
	require.Equal(t, http.StatusOK, status)

	status, body = get("/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "go_goroutines")
}

func TestRequestsAreStillTakenDuringTheNoticeAndTheirConnectionsClosed(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		drain := httpserver.Drain{Notice: 500 * time.Millisecond, Limit: time.Second}
		stopped <- httpserver.ServeListener(ctx, "test", listener, http.NotFoundHandler(), drain, quiet)
	}()
	client := &http.Client{Transport: &http.Transport{}}
	answer := func() *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, errors.Join(err, res.Body.Close()))
		return res
	}
	require.False(t, answer().Close)
	stop()
	require.True(t, answer().Close, "on the connection of before")
	require.True(t, answer().Close, "on a new one")
	require.NoError(t, <-stopped)
}
