// Command orders is the orders service: `orders serve` runs it, `orders migrate` prepares its database.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/orderflow/orderflow/services/orders/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second signal ends the program at once.
	os.Exit(app.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
