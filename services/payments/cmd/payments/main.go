// Command payments is the payments service: `payments serve` runs it, `payments migrate up`, `down` and `status`
// look after the schema of its database.
package main

import (
	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/payments/internal/app"
)

func main() { service.Main("payments", app.Commands()) }
