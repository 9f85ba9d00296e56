// Command orchestrator runs the order saga and answers operators.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/orderflow/orderflow/orchestrator/internal/app"
	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
)

func main() {
	command := map[string]func(context.Context, *slog.Logger, app.Config) error{
		"serve": app.Run, "migrate": app.Migrate,
	}
	if len(os.Args) != 2 || command[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: orchestrator serve|migrate")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cfg, err := config.Load[app.Config]()
	if err == nil {
		err = command[os.Args[1]](ctx, logging.New(os.Stderr, cfg.Log, "orchestrator"), cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "orchestrator:", err)
		os.Exit(1) //nolint:gocritic // The process ends here; there is nothing that stop would still release.
	}
}
