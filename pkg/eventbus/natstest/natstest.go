// Package natstest runs a real NATS server with JetStream inside the test process, which a test can kill and restart.
package natstest

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/orderflow/orderflow/pkg/eventbus"
)

// Server is a NATS server of one test.
type Server struct {
	tb      testing.TB
	options server.Options
	server  *server.Server
}

// Start starts a server that keeps its streams in a folder of the test and stops when the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, options: server.Options{
		Host:      "127.0.0.1",
		Port:      freePort(tb),
		JetStream: true,
		StoreDir:  tb.TempDir(),
		NoLog:     true,
		NoSigs:    true,
	}}
	s.Restart()
	tb.Cleanup(func() {
		s.await(func() bool { return s.server.NumClients() == 0 })
		s.Kill()
	})
	return s
}

// URL returns the server's address, which stays the same over restarts.
func (s *Server) URL() string {
	return fmt.Sprintf("nats://%s:%d", s.options.Host, s.options.Port)
}

// JetStream returns a client on a connection of its own, closed when the test ends.
func (s *Server) JetStream() jetstream.JetStream {
	s.tb.Helper()
	nc, err := eventbus.Connect(s.tb.Context(), s.URL(), s.tb.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		s.tb.Fatalf("natstest: %v", err)
	}
	s.tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.tb.Fatalf("natstest: %v", err)
	}
	return js
}

// Kill stops the server; clients lose their connection. Its streams stay on disk for Restart.
func (s *Server) Kill() {
	// A stream that is created while the server stops would leave a goroutine behind.
	s.await(func() bool {
		info, err := s.server.Jsz(nil)
		return err != nil || info.API.Inflight == 0
	})
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// await waits for a condition that makes stopping clean, but not for ever: a client may still be at work.
func (s *Server) await(condition func() bool) {
	for range 100 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Restart starts the server again after Kill, on the same port and the same streams.
func (s *Server) Restart() {
	s.tb.Helper()
	options := s.options // the server writes into it
	running, err := server.NewServer(&options)
	if err != nil {
		s.tb.Fatalf("natstest: %v", err)
	}
	running.Start()
	if !running.ReadyForConnections(20 * time.Second) {
		s.tb.Fatalf("natstest: the server at %s did not start", s.URL())
	}
	s.server = running
}

// freePort returns a port that the kernel gives to no outgoing connection, so that it is still free when the server
// comes back to it.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 12_000 + rand.IntN(20_000) //nolint:gosec // not a secret
		listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			tb.Fatalf("natstest: %v", err)
		}
		return port
	}
	tb.Fatal("natstest: found no free port")
	return 0
}
