package app

import (
	"context"
	"fmt"
	"io"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
)

// Main is the program: it runs the command in args until that is done or ctx ends, and returns the exit code. Logs go
// to logs; the one sentence that says why a command failed goes to problems.
func Main(ctx context.Context, args []string, logs, problems io.Writer) int {
	var err error
	switch command := append(args, "")[0]; {
	case len(args) == 1 && command == "serve":
		var cfg Config
		if cfg, err = config.Load[Config](); err == nil {
			err = Run(ctx, logging.New(logs, cfg.Log, "payments"), cfg)
		}
	case len(args) == 1 && command == "migrate":
		var cfg MigrateConfig
		if cfg, err = config.Load[MigrateConfig](); err == nil {
			err = Migrate(ctx, logging.New(logs, cfg.Log, "payments"), cfg)
		}
	default:
		_, _ = fmt.Fprintln(problems, "usage: payments serve | migrate")
		return 2
	}
	if err != nil {
		_, _ = fmt.Fprintln(problems, "payments:", err)
		return 1
	}
	return 0
}
