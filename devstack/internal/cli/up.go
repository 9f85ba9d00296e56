package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/orderflow/orderflow/devstack/internal/stack"
)

func upCommand(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	o := stack.Options{Environ: environ, Out: out, Colour: terminal(out) && lookup(environ, "NO_COLOR", "") == ""}
	where(flags, &o)
	portMode := flags.String("ports", "default",
		"`default` uses the documented ports, auto any free ones (remembered in the data directory)")
	flags.StringVar(&o.Bin, "bin", "", "`directory` with prebuilt programs, instead of building them")
	flags.StringVar(&o.State, "state", "", "`file` to describe the running stack in, as JSON, once it is ready")
	flags.BoolVar(&o.NoUI, "no-ui", false, "do not start the Temporal UI")
	flags.BoolVar(&o.NoSeed, "no-seed", false, "do not put demo stock into an empty inventory")
	only := flags.String("only", "", "`infra` starts only PostgreSQL, NATS and Temporal")
	if err := parse(flags, args, out); err != nil {
		return err
	}
	switch *portMode {
	case "default":
	case "auto":
		o.AutoPorts = true
	default:
		return misuse("up: --ports is default or auto, not %q", *portMode)
	}
	switch *only {
	case "":
	case "infra":
		o.OnlyInfra = true
	default:
		return misuse("up: --only can be infra, not %q", *only)
	}
	var err error
	if o.State != "" {
		if o.State, err = filepath.Abs(o.State); err != nil {
			return err
		}
	}
	if o.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("find devstack's own program: %w", err)
	}

	kill, forget := secondSignal()
	defer forget()
	return stack.Up(ctx, kill, o)
}

// secondSignal returns a channel that is closed by the second signal. The first one ends the context and so
// begins an orderly stop; the second says that the patience with it is over.
func secondSignal() (_ <-chan struct{}, forget func()) {
	kill := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		<-signals
		close(kill)
	}()
	return kill, func() { signal.Stop(signals) }
}

func cleanCommand(ctx context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("clean", flag.ContinueOnError)
	o := stack.Options{Environ: environ}
	where(flags, &o)
	if err := parse(flags, args, out); err != nil {
		return err
	}
	data, err := stack.Clean(ctx, o)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "no data left in %s\n", data)
	return nil
}

func where(flags *flag.FlagSet, o *stack.Options) {
	flags.StringVar(&o.Root, "root", "", "`directory` of the repository (default: found upwards by go.work)")
	flags.StringVar(&o.Data, "data", "", "`directory` for all data (default: one per repository in the user's\n"+
		"cache directory, for root in /var/lib/orderflow-devstack)")
}

func terminal(out io.Writer) bool {
	file, isFile := out.(*os.File)
	if !isFile {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
