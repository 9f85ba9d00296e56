package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/orderflow/orderflow/devstack/internal/stack"
	"github.com/orderflow/orderflow/devstack/internal/traces"
)

// traceCommand reads what the stack has written; it need not run.
func traceCommand(_ context.Context, args, environ []string, out io.Writer) error {
	flags := flag.NewFlagSet("trace", flag.ContinueOnError)
	o := stack.Options{Environ: environ}
	where(flags, &o)
	if err := parseFlags(flags, args, out); err != nil {
		return err
	}
	if flags.NArg() != 1 || flags.Arg(0) == "" {
		return misuse("trace: the id of an order is missing: devstack trace ORDER")
	}
	dir, err := stack.Traces(o)
	if err != nil {
		return err
	}
	orderID := flags.Arg(0)
	if err = traces.Print(out, dir, orderID); errors.Is(err, traces.ErrNone) {
		return fmt.Errorf("there is no trace of order %s in %s: it was not placed on this stack, or not sampled, "+
			"or so long ago that its spans are gone, or OTEL_EXPORTER_OTLP_ENDPOINT had them sent elsewhere", orderID, dir)
	}
	return err
}
