// Command orderflow is the operators' command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/orderflow/orderflow/orchestrator/internal/audit"
	"github.com/orderflow/orderflow/orchestrator/internal/demo"
)

const usage = `usage: orderflow COMMAND [flags]

  demo     places orders that show each ending, and tells their stories
  audit    compares the books of all services; exits with 1 if something is wrong
  seed     puts demo stock into an inventory that has none
  history  writes the history of an order's saga as JSON, its payloads opened, to look at or to replay
  replay   replays sagas from Temporal against the code of this program; exits with 1 if it cannot go on with one

The services are found by ORDERS_URL, PAYMENTS_URL, INVENTORY_URL and SHIPPING_URL; the defaults are those of make run.
history and replay need TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and PAYLOAD_KEYS instead.
`

// urls are where the services are.
type urls struct {
	Orders    string `env:"ORDERS_URL" envDefault:"http://127.0.0.1:8080"`
	Payments  string `env:"PAYMENTS_URL" envDefault:"http://127.0.0.1:8081"`
	Inventory string `env:"INVENTORY_URL" envDefault:"http://127.0.0.1:8082"`
	Shipping  string `env:"SHIPPING_URL" envDefault:"http://127.0.0.1:8083"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0 is well, 1 is that something is wrong, 2 is that the command was not understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	at, err := env.ParseAs[urls]()
	if err != nil {
		fmt.Fprintln(stderr, "orderflow:", err)
		return 2
	}
	flags := flag.NewFlagSet("orderflow "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	var command func() error
	switch args[0] {
	case "demo":
		command = func() error { return runDemo(ctx, at, stdout) }
	case "audit":
		patience := duration(flags, "patience", 15*time.Minute, "how long an order may take before it counts as stuck")
		since := duration(flags, "since", 0, "check only orders placed in this last `time`; 0 means all")
		command = func() error { return runAudit(ctx, at, *since, *patience, stdout) }
	case "seed":
		command = func() error { return seed(ctx, at.Inventory, stdout) }
	case "history":
		order := flags.String("order", "", "the order's `id`")
		command = func() error { return writeHistory(ctx, *order, os.Getenv("PAYLOAD_KEYS"), stdout) }
	case "replay":
		query := flags.String("query", "", "replay only sagas that this `filter` of Temporal's lists selects")
		command = func() error { return runReplay(ctx, *query, os.Getenv("PAYLOAD_KEYS"), stdout) }
	default:
		fmt.Fprintf(stderr, "orderflow: there is no command %q\n%s", args[0], usage)
		return 2
	}
	err = flags.Parse(args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "orderflow: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	if err := command(); err != nil {
		fmt.Fprintln(stderr, "orderflow:", err)
		return 1
	}
	return 0
}

// duration defines a flag that takes no negative value.
func duration(flags *flag.FlagSet, name string, initial time.Duration, help string) *time.Duration {
	value := initial
	flags.Func(name, fmt.Sprintf("%s (default %s)", help, initial), func(s string) (err error) {
		if value, err = time.ParseDuration(s); err == nil && value < 0 {
			err = errors.New("must not be negative")
		}
		return err
	})
	return &value
}

func runDemo(ctx context.Context, at urls, out io.Writer) error {
	d, err := demo.New(at.Orders, out)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

func runAudit(ctx context.Context, at urls, since, patience time.Duration, out io.Writer) error {
	a, err := audit.New(at.Orders, at.Payments, at.Inventory, at.Shipping)
	if err != nil {
		return err
	}
	var from time.Time
	if since > 0 {
		from = time.Now().Add(-since)
	}
	report, err := a.Run(ctx, from, patience)
	if err != nil {
		return err
	}
	for _, f := range report.Findings {
		fmt.Fprintf(out, "%s: %s\n", f.OrderID, f.Problem)
	}
	fmt.Fprintf(out, "%d orders checked, %d findings\n", report.Checked, len(report.Findings))
	if len(report.Findings) > 0 {
		return errors.New("the books do not agree")
	}
	return nil
}
