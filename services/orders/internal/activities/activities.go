// Package activities offers the orders service to sagas: it registers the activities of the contract. It must not
// decide anything about an order; package order does.
package activities

import (
	"context"

	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

// Register tells a worker how to run the activities of the orders service.
func Register(w worker.ActivityRegistry, service *order.Service) {
	orders.Confirm.Register(w, func(ctx context.Context, r orders.ConfirmRequest) (orders.Ack, error) {
		return orders.Ack{}, service.Confirm(ctx, r.OrderID)
	})
	orders.Close.Register(w, func(ctx context.Context, r orders.CloseRequest) (orders.Ack, error) {
		return orders.Ack{}, service.Close(ctx, r.OrderID, r.Outcome, order.Reason{Code: r.Code, Message: r.Message})
	})
	orders.Park.Register(w, func(ctx context.Context, r orders.ParkRequest) (orders.Ack, error) {
		return orders.Ack{}, service.Park(ctx, r.OrderID, order.Reason{Code: r.Code, Message: r.Message})
	})
}
