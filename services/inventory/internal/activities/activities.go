// Package activities offers the service to sagas, as Temporal activities. It must not decide anything: the service
// does, and what it returns travels as the contract says.
package activities

import (
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

// Register tells a worker how to run the activities.
func Register(r worker.ActivityRegistry, svc *stock.Service) {
	inventory.Reserve.Register(r, svc.Reserve)
	inventory.Commit.Register(r, svc.Commit)
	inventory.Release.Register(r, svc.Release)
}
