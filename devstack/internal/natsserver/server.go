// Package natsserver runs one NATS server with JetStream in this process. It creates no streams: each
// service owns the stream of its own events.
package natsserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config says where the server listens, on 127.0.0.1, and where it stores its streams.
type Config struct {
	Port        int
	MonitorPort int
	StoreDir    string
	// SyncInterval is the longest time an acknowledged message may wait in the kernel's page cache
	// before it is on the disk. Losing the process never loses it, because a stream with one replica is
	// written before it acknowledges; losing the machine may lose that much. Zero syncs before each
	// acknowledgement, which took 25 times as long where it was measured (4,000 against 100,000
	// messages a second).
	SyncInterval time.Duration
}

// Run serves until ctx ends, then closes the streams and returns.
func Run(ctx context.Context, cfg Config) error {
	if cfg.StoreDir == "" {
		return errors.New("nats needs a directory for its streams")
	}
	nats, err := server.NewServer(&server.Options{
		ServerName:   "orderflow-devstack",
		Host:         "127.0.0.1",
		Port:         cfg.Port,
		HTTPHost:     "127.0.0.1",
		HTTPPort:     cfg.MonitorPort,
		JetStream:    true,
		StoreDir:     cfg.StoreDir,
		SyncInterval: cfg.SyncInterval,
		SyncAlways:   cfg.SyncInterval == 0,
		// The command handles signals itself, so that it is the one who decides when to stop.
		NoSigs: true,
		// Store limits follow the free memory and disk by default; a stream refused because the disk
		// is three quarters full would be a riddle.
		JetStreamMaxMemory: 1 << 30,
		JetStreamMaxStore:  1 << 40,
	})
	if err != nil {
		return fmt.Errorf("prepare the NATS server: %w", err)
	}
	nats.SetLogger(warnings{os.Stderr}, false, false)
	nats.Start()
	if !nats.ReadyForConnections(30 * time.Second) {
		nats.Shutdown()
		return fmt.Errorf("nats did not listen on 127.0.0.1:%d within 30s", cfg.Port)
	}
	<-ctx.Done()
	nats.Shutdown()
	nats.WaitForShutdown()
	return nil
}
