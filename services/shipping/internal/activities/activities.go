// Package activities offers the service to sagas: it connects Temporal's heartbeats, cancellation and shutdown with
// what the domain asks for. It must not know what a booking takes.
package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

// Register tells the worker how to run the activities of the contract.
func Register(r worker.ActivityRegistry, s *shipment.Service) {
	shipping.Book.Register(r, func(ctx context.Context, req shipping.BookRequest) (shipping.Booking, error) {
		return s.Book(ctx, req, progress(ctx))
	})
	shipping.Cancel.Register(r, func(ctx context.Context, req shipping.CancelRequest) (shipping.Ack, error) {
		return shipping.Ack{}, s.Cancel(ctx, req)
	})
}

func progress(ctx context.Context) shipment.Progress {
	p := shipment.Progress{
		Report: func(c shipment.Checkpoint) { activity.RecordHeartbeat(ctx, c) },
		Stop:   activity.GetWorkerStopChannel(ctx),
	}
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are those of another version. The row knows the ticket as well.
		if err := activity.GetHeartbeatDetails(ctx, &p.Resume); err != nil {
			activity.GetLogger(ctx).Warn("heartbeat details cannot be read", "error", err)
		}
	}
	return p
}
