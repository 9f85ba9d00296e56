package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
)

// Settings are what a command reads from its environment.
type Settings interface {
	config.Validator
	// LogConfig says how the command logs.
	LogConfig() logging.Config
}

// Command is one thing that a program can do, named by one word or more. It runs until it is done or ctx ends, and logs
// to logs.
type Command func(ctx context.Context, name string, logs io.Writer) error

// With returns the command that loads its settings and runs.
func With[S Settings](run func(context.Context, *slog.Logger, S) error) Command {
	return func(ctx context.Context, name string, logs io.Writer) error {
		settings, err := config.Load[S]()
		if err != nil {
			return err
		}
		return run(ctx, logging.New(logs, settings.LogConfig(), name), settings)
	}
}

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Main is a program's main function: it runs the command named by the arguments until it is done, or until SIGTERM or
// SIGINT, and exits. A second signal ends the program at once.
func Main(name string, commands map[string]Command) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	os.Exit(Execute(ctx, name, os.Args[1:], commands, os.Stdout, os.Stderr))
}

// Execute is Main without the process. It returns the exit code, and says on problems why it is not 0. Every program
// can say how it is and which it is, beside what its own commands do.
func Execute(
	ctx context.Context, name string, args []string, commands map[string]Command, logs, problems io.Writer,
) int {
	all := map[string]Command{"healthcheck": healthcheck, "version": printVersion}
	maps.Copy(all, commands)
	run := all[strings.Join(args, " ")]
	if run == nil {
		_, _ = fmt.Fprintf(problems, "usage: %s %s\n", name, strings.Join(slices.Sorted(maps.Keys(all)), " | "))
		return exitUsage
	}
	if err := run(ctx, name, logs); err != nil {
		_, _ = fmt.Fprintf(problems, "%s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
		return exitFailure
	}
	return exitOK
}
