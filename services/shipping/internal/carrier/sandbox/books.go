package sandbox

import (
	"context"
	"time"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox/db"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

// Booking is an entry of the sandbox's books.
type Booking struct {
	Ticket         string
	OrderID        string
	FulfilmentID   string
	Stage          shipment.Stage
	TrackingNumber string
	CreatedAt      time.Time
}

// Live reports whether the carrier is going to fetch the parcel, or has fetched it.
func (b Booking) Live() bool { return b.Stage == shipment.Pending || b.Stage == shipment.Confirmed }

// maxBookings is far more than an order has fulfilments.
const maxBookings = 1000

// Bookings returns what the carrier knows about an order, oldest first.
func (c *Carrier) Bookings(ctx context.Context, orderID string) ([]Booking, error) {
	rows, err := c.queries.ListBookings(ctx, db.ListBookingsParams{OrderID: orderID, MaxRows: maxBookings})
	if err != nil {
		return nil, postgres.Interpret(err)
	}
	list := make([]Booking, len(rows))
	for i, r := range rows {
		list[i] = Booking{
			Ticket: r.Ticket, OrderID: r.OrderID, FulfilmentID: r.FulfilmentID, Stage: stageOf(r),
			TrackingNumber: r.TrackingNumber, CreatedAt: r.CreatedAt.UTC(),
		}
	}
	return list, nil
}

// Outage reports whether parcels to CancelDown cannot be called off.
func (c *Carrier) Outage(ctx context.Context) (bool, error) {
	down, err := c.queries.GetOutage(ctx)
	return down, postgres.Interpret(err)
}

// SetOutage says whether parcels to CancelDown cannot be called off.
func (c *Carrier) SetOutage(ctx context.Context, down bool) error {
	return postgres.Interpret(c.queries.SetOutage(ctx, down))
}
