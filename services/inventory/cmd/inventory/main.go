// The inventory service keeps stock and reserves it for orders.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/orderflow/orderflow/services/inventory/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // A second signal ends the program at once.

	os.Exit(app.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
