// Package activities offers the payments service to sagas. It binds the contract to the domain and does nothing else.
package activities

import (
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// Register tells a worker how to run the activities of the payments service.
func Register(w worker.ActivityRegistry, svc *payment.Service) {
	payments.Authorize.Register(w, svc.Authorize)
	payments.Capture.Register(w, svc.Capture)
	payments.Cancel.Register(w, svc.Cancel)
}
