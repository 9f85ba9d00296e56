package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Drain is how a server stops.
type Drain struct {
	// Notice is how long it still takes requests after it was told to stop, for as long as load balancers may need to
	// hear of it. Each answer closes its connection.
	Notice time.Duration
	// Limit is how long requests in flight may take to finish after that.
	Limit time.Duration
}

// Serve listens on addr, and then is ServeListener. A busy port is an error at once.
func Serve(ctx context.Context, name, addr string, h http.Handler, drain Drain, log *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s server: %w", name, err)
	}
	return ServeListener(ctx, name, listener, h, drain, log)
}

// ServeListener serves until ctx ends. Then it gives notice, takes no new connections, lets the requests in flight
// finish, and returns nil; requests still running at the limit are cut off, which is an error. It closes the listener.
// The end of ctx does not cancel requests in flight; those that would run on for ever watch Draining.
func ServeListener(
	ctx context.Context, name string, listener net.Listener, h http.Handler, drain Drain, log *slog.Logger,
) error {
	// There is no limit for whole requests: waiting for an order and event streams take long. Bodies have deadlines.
	server := &http.Server{
		Handler:           farewell(ctx, h),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), drainingKey{}, ctx.Done())
		},
	}
	var failed error // of Serve; read after served is closed
	served := make(chan struct{})
	go func() {
		defer close(served)
		failed = server.Serve(listener)
	}()
	log.InfoContext(ctx, "listening", slog.String("server", name), slog.String("addr", listener.Addr().String()))

	select {
	case <-served:
		return fmt.Errorf("%s server: %w", name, failed)
	case <-ctx.Done():
	}
	select {
	case <-served:
		return fmt.Errorf("%s server: %w", name, failed)
	case <-time.After(drain.Notice):
	}

	drainCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain.Limit)
	defer cancel()
	err := server.Shutdown(drainCtx)
	if err != nil {
		err = fmt.Errorf("%s server: requests cut off after %s: %w", name, drain.Limit, errors.Join(err, server.Close()))
	}
	<-served
	log.InfoContext(ctx, "stopped", slog.String("server", name))
	return err
}

// farewell tells clients to come back by another connection once ctx has ended: one that is idle when the server closes
// it may lose the request that is just on its way.
func farewell(ctx context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

type drainingKey struct{}

// Draining is closed when the server of a request's context begins to stop. Handlers that wait or stream for long end
// then, so that their clients turn to another replica. Without a server it is nil and never ready.
func Draining(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return done
}
