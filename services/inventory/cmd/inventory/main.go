// Command inventory is the inventory service: `inventory serve` runs it, `inventory migrate up`, `down` and `status`
// look after the schema of its database.
package main

import (
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/inventory/internal/app"
)

func main() { service.Main("inventory", app.Commands()) }
