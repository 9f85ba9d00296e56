package shipment

import (
	"context"
	"time"

	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/shipping"
)

// Carrier is a company that fetches parcels. Its failures are of three sorts, and an adapter must tell them apart:
//   - shipping.ErrCarrierUnavailable: it cannot be reached, or said no for now. Nothing has happened.
//   - shipping.ErrOutcomeUnknown: it was asked, but its answer was lost. It may have done what it was asked for.
//   - shipping.ErrDispatched, by Cancel only: the parcel has left.
//
// A carrier's final no to a parcel is no failure of Submit: it is a Status.
type Carrier interface {
	// Quote says what a parcel would cost. It promises nothing. Besides the failures above it returns
	// shipping.ErrAddressRefused.
	Quote(ctx context.Context, p Parcel) (Quote, error)
	// Submit asks the carrier to fetch a parcel and returns the ticket by which it knows the request. Asked again with
	// the same key it returns the same ticket and fetches one parcel. After ctx's deadline nothing may reach the
	// carrier any more.
	Submit(ctx context.Context, key string, p Parcel) (ticket string, err error)
	// Status says what became of a ticket.
	Status(ctx context.Context, ticket string) (Status, error)
	// Cancel calls a ticket off, whatever its stage. It is idempotent.
	Cancel(ctx context.Context, ticket string) error
	// Find returns the ticket of an earlier Submit with this key.
	Find(ctx context.Context, key string) (ticket string, found bool, err error)
}

// Parcel is what a carrier is asked to fetch.
type Parcel struct {
	OrderID      string
	FulfilmentID string
	Warehouse    string
	Items        []shipping.Item
	To           shipping.Address
}

// Quote is a carrier's offer.
type Quote struct {
	Carrier string
	// Service is the carrier's name for how it sends, such as "standard".
	Service string
	Price   money.Money
	// ReadyIn is about how long the carrier takes to confirm a booking.
	ReadyIn time.Duration
}

// Stage is how far a carrier is with a ticket.
type Stage string

// The stages at a carrier.
const (
	Pending   Stage = "pending"
	Confirmed Stage = "confirmed"
	Refused   Stage = "refused"
	Withdrawn Stage = "withdrawn"
)

// Status is what a carrier says about a ticket.
type Status struct {
	Stage Stage
	// Carrier and TrackingNumber are set when Confirmed.
	Carrier        string
	TrackingNumber string
	// Refusal is set when Refused.
	Refusal Refusal
}
