package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/orderflow/orderflow/devstack/internal/postgres"
	"github.com/orderflow/orderflow/devstack/internal/stack"
)

// execCommand runs a command with the addresses of the stack in its environment. Standard output belongs to
// the command.
func execCommand(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("exec", flag.ContinueOnError)
	o := stack.Options{Environ: environ, Out: os.Stderr, AutoPorts: true, NoUI: true, Quiet: true}
	where(flags, &o)
	flags.StringVar(&o.Bin, "bin", "", "`directory` with prebuilt programs of the services, if the stack must be started")
	if err := parseFlags(flags, args, out); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return misuse("exec: a command is missing: devstack exec -- COMMAND")
	}
	command := flags.Args()
	task := func(ctx context.Context, s stack.State) error { return runOn(ctx, s, command, environ, out) }

	state, running, err := stack.Running(o)
	if err != nil {
		return err
	}
	if running {
		return task(ctx, state)
	}
	if o.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("find devstack's own program: %w", err)
	}
	o.Task = task
	kill, forget := secondSignal()
	defer forget()
	return stack.Up(ctx, kill, o)
}

func runOn(ctx context.Context, s stack.State, command, environ []string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // It is the user's own.
	cmd.Env = append(append([]string{}, environ...), s.Environ()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errCommand{max(exit.ExitCode(), failed)}
	}
	return err
}

// errCommand is the exit code of a command that has said itself what was wrong.
type errCommand struct{ code int }

func (e errCommand) Error() string {
	return fmt.Sprintf("the command failed with exit code %d", e.code)
}

// prepareCommand does what up would do first and may take long: it installs PostgreSQL.
func prepareCommand(ctx context.Context, args, _ []string, out io.Writer) error {
	flags := flag.NewFlagSet("prepare", flag.ContinueOnError)
	if err := parse(flags, args, out); err != nil {
		return err
	}
	found, err := postgres.SystemFinder().FindOrInstall(ctx, out)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "PostgreSQL is in %s\n", found.Bin)
	return nil
}
