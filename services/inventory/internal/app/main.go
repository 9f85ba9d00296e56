package app

import (
	"context"
	"fmt"
	"io"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
)

// The exit codes of Main.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Main is the program: it runs the command in args until it is done or ctx ends, logs to out, says in one sentence on
// problems why it could not, and returns the exit code.
func Main(ctx context.Context, args []string, out, problems io.Writer) int {
	var run func() error
	switch {
	case len(args) == 1 && args[0] == "serve":
		run = func() error {
			cfg, err := config.Load[Config]()
			if err != nil {
				return err
			}
			return Run(ctx, logging.New(out, cfg.Log, "inventory"), cfg)
		}
	case len(args) == 1 && args[0] == "migrate":
		run = func() error {
			cfg, err := config.Load[MigrateConfig]()
			if err != nil {
				return err
			}
			return Migrate(ctx, logging.New(out, cfg.Log, "inventory"), cfg)
		}
	default:
		_, _ = fmt.Fprintln(problems, "inventory: say what to do: inventory serve | migrate")
		return exitUsage
	}
	if err := run(); err != nil {
		_, _ = fmt.Fprintf(problems, "inventory: %v\n", err)
		return exitFailure
	}
	return exitOK
}
