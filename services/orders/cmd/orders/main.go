// Command orders is the orders service: `orders serve` runs it, `orders migrate up`, `down` and `status`
// look after the schema of its database.
package main

import (
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/orders/internal/app"
)

func main() { service.Main("orders", app.Commands()) }
