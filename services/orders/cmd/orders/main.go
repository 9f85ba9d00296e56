// Command orders is the orders service: `orders serve` runs it, `orders migrate` prepares its database.
package main

import (
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/orders/internal/app"
)

func main() { service.Main("orders", app.Commands()) }
