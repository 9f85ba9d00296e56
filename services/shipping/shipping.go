// Package shipping is the public contract of the shipping service: the activities it offers to a saga, the events it
// publishes and the ways it can fail.
package shipping

import (
	"time"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
)

// TaskQueue is polled by the workers of the shipping service.
const TaskQueue = "shipping"

// Stream holds the events of the shipping service.
var Stream = contract.Stream{Name: "SHIPPING", Subjects: []string{"shipping.>"}}

// Address is where a parcel goes.
type Address struct {
	Name       string `json:"name"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postal_code"`
	// Country is an ISO 3166-1 alpha-2 code in upper case.
	Country string `json:"country"`
}

// Item is a quantity of one article in pieces.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// BookRequest asks a carrier to fetch one fulfilment of an order from its warehouse.
type BookRequest struct {
	OrderID string `json:"order_id"`
	// FulfilmentID is unique within the order.
	FulfilmentID string  `json:"fulfilment_id"`
	Warehouse    string  `json:"warehouse"`
	Items        []Item  `json:"items"`
	To           Address `json:"to"`
}

// Booking is a carrier's word that it will fetch a parcel.
type Booking struct {
	ShipmentID     string `json:"shipment_id"`
	Carrier        string `json:"carrier"`
	TrackingNumber string `json:"tracking_number"`
}

// CancelRequest asks to call off the shipments of an order.
type CancelRequest struct {
	OrderID string `json:"order_id"`
	// FulfilmentIDs are those that Book was asked for, whether or not it came to anything.
	FulfilmentIDs []string `json:"fulfilment_ids"`
}

// Ack is the answer of an activity that has nothing to tell.
type Ack struct{}

// The activities. Each is idempotent by order id and fulfilment id: called again, it answers what it answered before.
var (
	// Book may take minutes, because a carrier may. It heartbeats meanwhile, and an attempt goes on where the one before
	// it stopped.
	Book = contract.Activity[BookRequest, Booking]{
		Queue: TaskQueue, Name: "shipping/Book", StartToClose: 10 * time.Minute, Heartbeat: 10 * time.Second,
		Final: []*errs.Error{
			ErrAddressInvalid, ErrShipmentInvalid, ErrAddressRefused, ErrCancelled, ErrShipmentMismatch,
		},
	}
	// Cancel undoes Book. Where nothing was booked it leaves a mark, so that a Book which comes late is refused.
	Cancel = contract.Activity[CancelRequest, Ack]{
		Queue: TaskQueue, Name: "shipping/Cancel", StartToClose: 30 * time.Second,
		Final: []*errs.Error{ErrDispatched},
	}
)

// The failures.
var (
	ErrAddressInvalid = errs.New(errs.Invalid, "invalid_address",
		"The address is not complete.")
	ErrShipmentInvalid = errs.New(errs.Invalid, "invalid_shipment",
		"The shipment is not described properly.")
	ErrAddressRefused = errs.New(errs.Declined, "address_refused",
		"The carrier does not deliver to this address.")
	ErrCarrierUnavailable = errs.New(errs.Unavailable, "carrier_unavailable",
		"No carrier can take the parcel at the moment.")
	ErrOutcomeUnknown = errs.New(errs.OutcomeUnknown, "booking_outcome_unknown",
		"The carrier has not answered yet.")
	ErrCancelled = errs.New(errs.Conflict, "shipment_cancelled",
		"The shipment was called off.")
	ErrDispatched = errs.New(errs.Conflict, "shipment_dispatched",
		"The parcel is on its way already.")
	ErrShipmentMismatch = errs.New(errs.Conflict, "shipment_mismatch",
		"There is a shipment for this fulfilment already, of other items.")
	ErrShipmentNotFound = errs.New(errs.NotFound, "shipment_not_found",
		"There is no such shipment.")
)

// Changed is the data of every event about a shipment.
type Changed struct {
	ShipmentID     string `json:"shipment_id"`
	OrderID        string `json:"order_id"`
	FulfilmentID   string `json:"fulfilment_id"`
	Warehouse      string `json:"warehouse"`
	State          string `json:"state"`
	Carrier        string `json:"carrier,omitempty"`
	TrackingNumber string `json:"tracking_number,omitempty"`
	// Code and Message say why, where the carrier refused.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// The events. Their CloudEvents subject is the order's id.
var (
	EventBooked    = contract.Event[Changed]{Type: "shipping.shipment.booked.v1"}
	EventRefused   = contract.Event[Changed]{Type: "shipping.shipment.refused.v1"}
	EventCancelled = contract.Event[Changed]{Type: "shipping.shipment.cancelled.v1"}
	// EventDispatched tells that the carrier has the parcel, so that it cannot be called off any more.
	EventDispatched = contract.Event[Changed]{Type: "shipping.shipment.dispatched.v1"}
)
