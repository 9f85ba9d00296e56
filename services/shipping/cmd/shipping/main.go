// Command shipping is the shipping service: `shipping serve` runs it, `shipping migrate` prepares its database.
package main

import (
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/shipping/internal/app"
)

func main() { service.Main("shipping", app.Commands()) }
