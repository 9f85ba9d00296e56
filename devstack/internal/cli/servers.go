package cli

import (
	"context"
	"flag"
	"io"
	"time"

	"github.com/orderflow/orderflow/devstack/internal/natsserver"
	"github.com/orderflow/orderflow/devstack/internal/temporalserver"
	"github.com/orderflow/orderflow/devstack/internal/ui"
)

func temporalCommand(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("temporal", flag.ContinueOnError)
	// The URL is not a flag: it holds a password, and every user may list the flags of a process.
	cfg := temporalserver.Config{DatabaseURL: lookup(environ, "DATABASE_URL", "")}
	flags.IntVar(&cfg.Ports.Frontend, "port", 7233, "`port` of the frontend (gRPC)")
	flags.IntVar(&cfg.Ports.HTTP, "http-port", 7243, "`port` of the frontend's HTTP API")
	flags.IntVar(&cfg.Ports.History, "history-port", 7234, "`port` of the history service")
	flags.IntVar(&cfg.Ports.Matching, "matching-port", 7235, "`port` of the matching service")
	flags.IntVar(&cfg.Ports.Worker, "worker-port", 7239, "`port` of the worker service")
	flags.IntVar(&cfg.Ports.Metrics, "metrics-port", 7290, "`port` of the Prometheus metrics")
	flags.StringVar(&cfg.VisibilityDatabase, "visibility-database", "temporal_visibility",
		"`name` of the visibility database, on the same server and with the same owner")
	flags.StringVar(&cfg.Namespace, "namespace", "orderflow", "`name` of the namespace to register")
	flags.StringVar(&cfg.LogLevel, "log-level", lookup(environ, "LOG_LEVEL", "warn"), "debug, info, warn or error")
	if err := parse(flags, args, out); err != nil {
		return err
	}
	if cfg.DatabaseURL == "" {
		return misuse("temporal: DATABASE_URL must be set to postgres://user:password@host:port/name")
	}
	return temporalserver.Run(ctx, cfg)
}

func natsCommand(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("nats", flag.ContinueOnError)
	cfg := natsserver.Config{}
	flags.IntVar(&cfg.Port, "port", 4222, "`port` for clients")
	flags.IntVar(&cfg.MonitorPort, "monitor-port", 8222, "`port` of the monitoring page")
	flags.StringVar(&cfg.StoreDir, "store", "", "`directory` of the streams")
	sync := flags.String("sync", lookup(environ, "SYNC", "1s"),
		"always, or the longest `duration` an acknowledged message may wait to be on the disk")
	if err := parse(flags, args, out); err != nil {
		return err
	}
	if *sync != "always" {
		interval, err := time.ParseDuration(*sync)
		if err != nil || interval <= 0 {
			return misuse("nats: --sync is always or a duration such as 1s, not %q", *sync)
		}
		cfg.SyncInterval = interval
	}
	if cfg.StoreDir == "" {
		return misuse("nats: --store must name the directory of the streams")
	}
	return natsserver.Run(ctx, cfg)
}

func uiCommand(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("ui", flag.ContinueOnError)
	cfg := ui.Config{}
	flags.IntVar(&cfg.Port, "port", 8233, "`port` to serve on")
	flags.StringVar(&cfg.TemporalAddress, "temporal", lookup(environ, "TEMPORAL_ADDRESS", "127.0.0.1:7233"),
		"`address` of the Temporal frontend")
	flags.StringVar(&cfg.Namespace, "namespace", lookup(environ, "TEMPORAL_NAMESPACE", "orderflow"),
		"`name` of the namespace shown first")
	flags.StringVar(&cfg.CodecEndpoint, "codec", lookup(environ, "CODEC_ENDPOINT", ""),
		"`URL` of the codec server the browser decodes payloads with")
	if err := parse(flags, args, out); err != nil {
		return err
	}
	return ui.Run(ctx, cfg)
}
