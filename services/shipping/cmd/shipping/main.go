// Command shipping is the shipping service: `shipping serve` runs it, `shipping migrate up`, `down` and `status`
// look after the schema of its database.
package main

import (
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/shipping/internal/app"
)

func main() { service.Main("shipping", app.Commands()) }
