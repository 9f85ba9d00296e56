package shipment

import (
	"slices"
	"time"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/store/db"
)

// State is where a shipment stands.
type State string

// The states. A carrier's final no is Cancelled with a Refusal: to everyone but the customer, who is told why, it is
// the same as a shipment that was called off.
const (
	Booking    State = "booking"
	Booked     State = "booked"
	Dispatched State = "dispatched"
	InTransit  State = "in_transit"
	Delivered  State = "delivered"
	Cancelled  State = "cancelled"
	Returned   State = "returned"
	Lost       State = "lost"
)

// States lists all of them in the order of a parcel's life.
func States() []State {
	return []State{Booking, Booked, Dispatched, InTransit, Delivered, Cancelled, Returned, Lost}
}

// transitions is the state machine. A carrier may miss a scan, so a parcel can be delivered without having been seen in
// transit.
func transitions(from State) []State {
	switch from {
	case Booking:
		return []State{Booked, Cancelled}
	case Booked:
		return []State{Dispatched, Cancelled}
	case Dispatched:
		return []State{InTransit, Delivered, Returned, Lost}
	case InTransit:
		return []State{Delivered, Returned, Lost}
	case Delivered:
		return []State{Returned}
	default: // Cancelled, Returned and Lost are the ends.
		return nil
	}
}

// ErrIllegalMove is what a move outside the table becomes. Its message names both states.
var ErrIllegalMove = errs.New(errs.Conflict, "illegal_shipment_state", "The shipment's state does not allow this.")

// Refusal is why a carrier said no.
type Refusal struct {
	// Code is stable, such as "address_refused".
	Code string
	// Message is a sentence for customers.
	Message string
}

// Shipment is one fulfilment of an order on its way to the customer.
type Shipment struct {
	ID           string
	OrderID      string
	FulfilmentID string
	// Warehouse, Items and To are empty where a cancellation came before the request to book.
	Warehouse string
	Items     []shipping.Item
	To        *shipping.Address
	State     State
	// Carrier and TrackingNumber are set from Booked on.
	Carrier        string
	TrackingNumber string
	// Refusal is set where the carrier said no.
	Refusal   *Refusal
	CreatedAt time.Time
	UpdatedAt time.Time

	manual      bool
	cancelling  bool   // The intent to call it off: no submission begins any more.
	attempt     string // The submission under way; empty if none is.
	attemptLive bool   // That submission may still reach the carrier.
	ticket      string
	ticketLive  bool // As far as we know the ticket stands for a parcel that is, or will be, fetched.
}

func (s *Shipment) move(to State) error {
	if !slices.Contains(transitions(s.State), to) {
		return ErrIllegalMove.WithMessage("A shipment that is %s cannot become %s.", s.State, to)
	}
	s.State = to
	return nil
}

// key names the booking at the carrier, whoever asks for it and however often.
func (s *Shipment) key() string { return s.OrderID + "/" + s.FulfilmentID + "/book" }

func (s *Shipment) parcel() Parcel {
	p := Parcel{OrderID: s.OrderID, FulfilmentID: s.FulfilmentID, Warehouse: s.Warehouse, Items: s.Items}
	if s.To != nil {
		p.To = *s.To
	}
	return p
}

// beingCalledOff reports whether somebody must still make sure that the carrier fetches nothing.
func (s *Shipment) beingCalledOff() bool {
	return s.cancelling || (s.State == Cancelled && s.ticketLive)
}

// underWay reports whether the carrier has the parcel, or had it.
func (s *Shipment) underWay() bool {
	switch s.State {
	case Dispatched, InTransit, Delivered, Returned, Lost:
		return true
	default:
		return false
	}
}

// refusal is the failure to report for a cancelled shipment.
func (s *Shipment) refusal() error {
	if s.Refusal == nil {
		return shipping.ErrCancelled
	}
	return errs.New(errs.Declined, s.Refusal.Code, s.Refusal.Message)
}

// confirmed makes the shipment what the carrier says it is.
func (s *Shipment) confirmed(by Status) error {
	if err := s.move(Booked); err != nil {
		return err
	}
	s.Carrier, s.TrackingNumber = by.Carrier, by.TrackingNumber
	return nil
}

func (s *Shipment) tell(event contract.Event[shipping.Changed]) news {
	data := shipping.Changed{
		ShipmentID: s.ID, OrderID: s.OrderID, FulfilmentID: s.FulfilmentID, Warehouse: s.Warehouse,
		State: string(s.State), Carrier: s.Carrier, TrackingNumber: s.TrackingNumber,
	}
	if s.Refusal != nil {
		data.Code, data.Message = s.Refusal.Code, s.Refusal.Message
	}
	return news{event: event, data: data}
}

func fromRow(r db.Shipment, attemptLive bool) Shipment {
	s := Shipment{
		ID: r.ID, OrderID: r.OrderID, FulfilmentID: r.FulfilmentID, Warehouse: r.Warehouse, Items: r.Items,
		To: r.Address, State: State(r.State), Carrier: r.Carrier, TrackingNumber: text(r.TrackingNumber),
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		manual: r.Manual, cancelling: r.Cancelling, attempt: text(r.Attempt), attemptLive: attemptLive,
		ticket: text(r.CarrierTicket), ticketLive: r.TicketLive,
	}
	if r.RefusalCode != nil {
		s.Refusal = &Refusal{Code: *r.RefusalCode, Message: text(r.RefusalMessage)}
	}
	return s
}

func (s *Shipment) toRow(lease time.Duration) db.UpdateShipmentParams {
	p := db.UpdateShipmentParams{
		ID: s.ID, State: string(s.State), Cancelling: s.cancelling, Carrier: s.Carrier,
		CarrierTicket: nullable(s.ticket), TicketLive: s.ticketLive, TrackingNumber: nullable(s.TrackingNumber),
		Attempt: nullable(s.attempt), LeaseSeconds: lease.Seconds(),
	}
	if s.Refusal != nil {
		p.RefusalCode, p.RefusalMessage = &s.Refusal.Code, &s.Refusal.Message
	}
	return p
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
