// Package sandbox is a carrier for trying things out. It behaves like another company: its books are kept in a schema
// of their own, in transactions of their own, so that they survive whatever happens to the service that asked, and
// nothing is ever done in both books at once. It must not know what the service makes of its answers.
//
// How it treats a parcel depends on the postal code, in any country that has such codes:
//
//	99901  slow: the booking is confirmed after SANDBOX_SLOW (12 s)
//	99902  the address is refused
//	99903  the carrier is down for this parcel, for ever
//	99904  the answer to the first submission is lost, although the parcel is booked: the call runs into its time-out
//	99905  the carrier is down for the first two submissions
//	99906  booked at once, but it cannot be called off until SetOutage(false)
//	99907  booked at once and fetched at once, so that it cannot be called off at all
//
// All others are booked at once.
package sandbox

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox/db"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

//go:embed migrations/*.sql
var files embed.FS

// Schema makes the sandbox's books.
var Schema = postgres.Migrations{Name: "sandbox", FS: files}

// The postal codes with a meaning.
const (
	Slow          = "99901"
	Refuses       = "99902"
	Down          = "99903"
	AnswerLost    = "99904"
	DownTwice     = "99905"
	CancelDown    = "99906"
	FetchedAtOnce = "99907"
)

// Name is the carrier's.
const Name = "sandbox"

// Carrier is the sandbox. It is safe for concurrent use.
type Carrier struct {
	queries *db.Queries
	slow    time.Duration
}

var _ shipment.Carrier = (*Carrier)(nil)

// New returns the sandbox. slow is how long the postal code Slow takes.
func New(pool *pgxpool.Pool, slow time.Duration) *Carrier {
	return &Carrier{queries: db.New(pool), slow: slow}
}

// Quote implements shipment.Carrier. A parcel costs EUR 4.90 within Germany and EUR 9.90 elsewhere, and 10 cents for
// each piece.
func (c *Carrier) Quote(_ context.Context, p shipment.Parcel) (shipment.Quote, error) {
	switch p.To.PostalCode {
	case Down:
		return shipment.Quote{}, shipping.ErrCarrierUnavailable
	case Refuses:
		return shipment.Quote{}, shipping.ErrAddressRefused
	}
	const domestic, abroad, perPiece = 490, 990, 10
	price := int64(abroad)
	if p.To.Country == "DE" {
		price = domestic
	}
	for _, it := range p.Items {
		price += it.Quantity * perPiece
	}
	return shipment.Quote{
		Carrier: Name, Service: "standard", Price: money.Of(price, "EUR"), ReadyIn: c.readyIn(p.To.PostalCode),
	}, nil
}

func (c *Carrier) readyIn(postalCode string) time.Duration {
	if postalCode == Slow {
		return c.slow
	}
	return 0
}

// Submit implements shipment.Carrier.
func (c *Carrier) Submit(ctx context.Context, key string, p shipment.Parcel) (string, error) {
	if err := c.outage(ctx, key, p.To.PostalCode); err != nil {
		return "", err
	}
	number := strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))
	ticket, err := c.queries.InsertBooking(ctx, db.InsertBookingParams{
		Ticket: "sbx_" + uuid.NewString(), Key: key, OrderID: p.OrderID, FulfilmentID: p.FulfilmentID,
		PostalCode: p.To.PostalCode, TrackingNumber: "SBX" + number[:16],
		ReadyInSeconds: c.readyIn(p.To.PostalCode).Seconds(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		ticket, err = c.queries.FindTicket(ctx, key)
		if err != nil {
			return "", unknown("submit", err)
		}
		return ticket, nil
	}
	if err != nil {
		return "", unknown("submit", err)
	}
	if p.To.PostalCode == AnswerLost {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return ticket, nil
}

// outage refuses a submission because the carrier is down for this postal code.
func (c *Carrier) outage(ctx context.Context, key, postalCode string) error {
	switch postalCode {
	case Down:
		return shipping.ErrCarrierUnavailable
	case DownTwice:
		const misses = 2
		times, err := c.queries.CountMiss(ctx, key)
		if err != nil {
			return unavailable("submit", err)
		}
		if times <= misses {
			return shipping.ErrCarrierUnavailable
		}
	}
	return nil
}

// Status implements shipment.Carrier.
func (c *Carrier) Status(ctx context.Context, ticket string) (shipment.Status, error) {
	b, err := c.queries.GetBooking(ctx, ticket)
	if err != nil {
		return shipment.Status{}, unavailable("status", err)
	}
	stage := stageOf(db.ListBookingsRow(b))
	status := shipment.Status{Stage: stage}
	switch stage {
	case shipment.Confirmed:
		status.Carrier, status.TrackingNumber = Name, b.TrackingNumber
	case shipment.Refused:
		status.Refusal = shipment.Refusal{
			Code: shipping.ErrAddressRefused.Code, Message: shipping.ErrAddressRefused.Message,
		}
	default: // There is nothing to add.
	}
	return status, nil
}

// Cancel implements shipment.Carrier.
func (c *Carrier) Cancel(ctx context.Context, ticket string) error {
	b, err := c.queries.GetBooking(ctx, ticket)
	if err != nil {
		return unavailable("cancel", err)
	}
	switch b.PostalCode {
	case FetchedAtOnce:
		return shipping.ErrDispatched
	case CancelDown:
		down, err := c.queries.GetOutage(ctx)
		if err != nil {
			return unavailable("cancel", err)
		}
		if down {
			return shipping.ErrCarrierUnavailable
		}
	}
	if err := c.queries.CancelBooking(ctx, ticket); err != nil {
		return unknown("cancel", err)
	}
	return nil
}

// Find implements shipment.Carrier.
func (c *Carrier) Find(ctx context.Context, key string) (string, bool, error) {
	ticket, err := c.queries.FindTicket(ctx, key)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, unavailable("find", err)
	}
	return ticket, true, nil
}

func stageOf(b db.ListBookingsRow) shipment.Stage {
	switch {
	case b.CancelledAt != nil:
		return shipment.Withdrawn
	case b.PostalCode == Refuses:
		return shipment.Refused
	case !b.Ready:
		return shipment.Pending
	default:
		return shipment.Confirmed
	}
}

// unavailable is what a question that failed becomes.
func unavailable(call string, err error) error {
	return fmt.Errorf("sandbox: %s: %w", call, failed(err, shipping.ErrCarrierUnavailable.WithCause(err)))
}

// unknown is what a command that failed becomes: it may have been carried out.
func unknown(call string, err error) error {
	return fmt.Errorf("sandbox: %s: %w", call, failed(err, shipping.ErrOutcomeUnknown.WithCause(err)))
}

// failed leaves the end of a caller's patience what it is.
func failed(err, otherwise error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return otherwise
}
