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

// Serve listens on addr, and then is ServeListener. A busy port is an error at once.
func Serve(ctx context.Context, name, addr string, h http.Handler, drain time.Duration, log *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s server: %w", name, err)
	}
	return ServeListener(ctx, name, listener, h, drain, log)
}

// ServeListener serves until ctx ends. Then it takes no new connections, lets the requests in flight finish for as
// long as drain, and returns nil; requests still running after that are cut off, which is an error. It closes the
// listener. The end of ctx does not cancel requests in flight; those that would run on for ever watch Draining.
func ServeListener(
	ctx context.Context, name string, listener net.Listener, h http.Handler, drain time.Duration, log *slog.Logger,
) error {
	// There is no limit for whole requests: waiting for an order and event streams take long. Bodies have deadlines.
	server := &http.Server{
		Handler:           h,
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

	drainCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(drainCtx)
	if err != nil {
		err = fmt.Errorf("%s server: requests cut off after %s: %w", name, drain, errors.Join(err, server.Close()))
	}
	<-served
	log.InfoContext(ctx, "stopped", slog.String("server", name))
	return err
}

type drainingKey struct{}

// Draining is closed when the server of a request's context begins to stop. Handlers that wait or stream for long end
// then, so that their clients turn to another replica. Without a server it is nil and never ready.
func Draining(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return done
}
