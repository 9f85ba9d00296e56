// Package ui runs the Temporal web UI in this process.
package ui

import (
	"context"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// Config says where the UI listens, on 127.0.0.1, and what it shows.
type Config struct {
	Port            int
	TemporalAddress string
	Namespace       string
	// CodecEndpoint is where the browser sends encrypted payloads to be decoded; empty for none.
	CodecEndpoint string
}

// Run serves until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	ui := server.NewServer(server_options.WithConfigProvider(&config.Config{
		Host:                "127.0.0.1",
		Port:                cfg.Port,
		TemporalGRPCAddress: cfg.TemporalAddress,
		DefaultNamespace:    cfg.Namespace,
		EnableUI:            true,
		Codec:               config.Codec{Endpoint: cfg.CodecEndpoint},
		// Without TLS a browser drops a cookie marked secure, and every action in the UI is refused.
		CORS:             config.CORS{CookieInsecure: true},
		HideLogs:         true,
		DisableNewsFetch: true,
	}))
	stopped := make(chan error, 1)
	go func() { stopped <- ui.Start() }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		ui.Stop()
		return <-stopped
	}
}
