// Package cli is the devstack command line: it reads flags and environment and calls the packages that
// do the work.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `devstack runs all of Orderflow on this machine, without Docker.

  devstack up        start everything and keep it running until Ctrl-C
  devstack exec -- COMMAND
                     run a command on the stack: on the running one, else on one started for it
  devstack trace ORDER
                     print where the time of an order went, and its spans
  devstack prepare   install what is missing for up
  devstack clean     remove the data of a stopped stack
  devstack temporal  run only the Temporal server   } in the foreground;
  devstack nats      run only the NATS server       } up starts these
  devstack ui        run only the Temporal web UI   } as its children

devstack COMMAND -h lists the flags of a command.
`

const allCommands = "up, exec, trace, prepare, clean, temporal, nats or ui (-h explains them)"

// Exit codes; exec returns that of its command.
const (
	ok      = 0
	failed  = 1
	misused = 2
)

// errMisuse marks what is wrong with the command line itself.
type errMisuse struct{ error }

func misuse(format string, args ...any) error { return errMisuse{fmt.Errorf(format, args...)} }

// Main runs the command of args (without the program's name) and returns the exit code.
func Main(args, environ []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	err := run(ctx, args, environ, out)
	var wrong errMisuse
	var command errCommand
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ok
	case errors.As(err, &wrong):
		_, _ = fmt.Fprintf(errOut, "devstack: %v\n", err)
		return misused
	case errors.As(err, &command):
		return command.code
	default:
		_, _ = fmt.Fprintf(errOut, "devstack: %v\n", err)
		return failed
	}
}

func run(ctx context.Context, args, environ []string, out io.Writer) error {
	commands := map[string]func(context.Context, []string, []string, io.Writer) error{
		"up": upCommand, "exec": execCommand, "trace": traceCommand, "prepare": prepareCommand, "clean": cleanCommand,
		"temporal": temporalCommand, "nats": natsCommand, "ui": uiCommand,
	}
	if len(args) == 0 {
		return misuse("a command is missing: %s", allCommands)
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		_, _ = fmt.Fprint(out, usage)
		return nil
	}
	command, known := commands[args[0]]
	if !known {
		return misuse("unknown command %q: it is %s", args[0], allCommands)
	}
	return command(ctx, args[1:], environ, out)
}

// parse reads the flags of one command, which takes no other arguments.
func parse(flags *flag.FlagSet, args []string, out io.Writer) error {
	err := parseFlags(flags, args, out)
	if err == nil && flags.NArg() > 0 {
		return misuse("%s: unexpected %q (-h lists the flags)", flags.Name(), strings.Join(flags.Args(), " "))
	}
	return err
}

func parseFlags(flags *flag.FlagSet, args []string, out io.Writer) error {
	flags.SetOutput(io.Discard) // package flag would print more than one sentence
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprintf(out, "Flags of devstack %s:\n", flags.Name())
		flags.SetOutput(out)
		flags.PrintDefaults()
		return err
	case err != nil:
		return misuse("%s: %v (-h lists the flags)", flags.Name(), err)
	}
	return nil
}

func lookup(environ []string, name, otherwise string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if value, found := strings.CutPrefix(environ[i], name+"="); found && value != "" {
			return value
		}
	}
	return otherwise
}
