// Command orchestrator runs the order saga and answers operators: `orchestrator serve` runs it, `orchestrator migrate
// up` prepares its Temporal namespace.
package main

import (
	"github.com/orderflow/orderflow/orchestrator/internal/app"
	"github.com/orderflow/orderflow/pkg/service"
)

func main() { service.Main("orchestrator", app.Commands()) }
