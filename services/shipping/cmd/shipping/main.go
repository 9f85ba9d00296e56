// Command shipping runs the shipping service, or brings its database up to date.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/orderflow/orderflow/services/shipping/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch command := strings.Join(os.Args[1:], " "); command {
	case "serve":
		err = app.Serve(ctx, os.Stderr)
	case "migrate":
		err = app.Migrate(ctx, os.Stderr)
	default:
		fmt.Fprintf(os.Stderr, "shipping: unknown command %q; use serve or migrate\n", command)
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shipping:", err)
		return 1
	}
	return 0
}
