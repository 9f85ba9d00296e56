// Package inventory is the public contract of the inventory service: the activities it offers to a saga, the events it
// publishes and the ways it can fail.
package inventory

import (
	"time"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
)

// TaskQueue is polled by the workers of the inventory service.
const TaskQueue = "inventory"

// Stream holds the events of the inventory service.
var Stream = contract.Stream{Name: "INVENTORY", Subjects: []string{"inventory.>"}}

// Line is a quantity of one article in pieces.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// ReserveRequest asks to hold stock for an order.
type ReserveRequest struct {
	OrderID string `json:"order_id"`
	Lines   []Line `json:"lines"`
}

// Fulfilment is what one warehouse sends for an order.
type Fulfilment struct {
	// ID is unique within the order: "1", "2", …
	ID        string `json:"id"`
	Warehouse string `json:"warehouse"`
	Lines     []Line `json:"lines"`
}

// Reservation is stock held for an order: it is still on hand, but no longer available.
type Reservation struct {
	ReservationID string       `json:"reservation_id"`
	Fulfilments   []Fulfilment `json:"fulfilments"`
	// ExpiresAt is when the hold is released unless it is committed before.
	ExpiresAt time.Time `json:"expires_at"`
}

// CommitRequest asks to take the held stock off the shelves for good.
type CommitRequest struct {
	OrderID string `json:"order_id"`
}

// ReleaseRequest asks to give the held stock back.
type ReleaseRequest struct {
	OrderID string `json:"order_id"`
}

// Ack is the answer of an activity that has nothing to tell.
type Ack struct{}

// The activities. Each is idempotent by order id: called again, it answers what it answered before.
var (
	// Reserve holds all lines or nothing, from as few warehouses as can be.
	Reserve = contract.Activity[ReserveRequest, Reservation]{
		Queue: TaskQueue, Name: "inventory/Reserve", StartToClose: 10 * time.Second,
		Final: []*errs.Error{
			ErrOutOfStock, ErrUnknownSKU, ErrReleased, ErrReservationMismatch, ErrInvalidReservation,
		},
	}
	// Commit is retriable: after the pivot it is repeated until it succeeds. A hold that expired is taken again where
	// stock allows.
	Commit = contract.Activity[CommitRequest, Ack]{
		Queue: TaskQueue, Name: "inventory/Commit", StartToClose: 10 * time.Second,
		Final: []*errs.Error{ErrReleased, ErrOutOfStock, ErrReservationNotFound},
	}
	// Release undoes Reserve. Where nothing was reserved it leaves a mark, so that a Reserve which comes late is
	// refused.
	Release = contract.Activity[ReleaseRequest, Ack]{
		Queue: TaskQueue, Name: "inventory/Release", StartToClose: 10 * time.Second,
		Final: []*errs.Error{ErrCommitted},
	}
)

// The failures.
var (
	ErrOutOfStock = errs.New(errs.Conflict, "out_of_stock",
		"Not everything that was ordered is in stock.")
	ErrUnknownSKU = errs.New(errs.Invalid, "unknown_sku",
		"The order names an article that does not exist.")
	ErrInvalidReservation = errs.New(errs.Invalid, "invalid_reservation",
		"What is to be reserved breaks a rule.")
	ErrReleased = errs.New(errs.Conflict, "reservation_released",
		"The reservation was given back.")
	ErrCommitted = errs.New(errs.Conflict, "reservation_committed",
		"The reserved stock has left already.")
	ErrReservationNotFound = errs.New(errs.NotFound, "reservation_not_found",
		"There is no such reservation.")
	ErrReservationMismatch = errs.New(errs.Conflict, "reservation_mismatch",
		"There is a reservation for this order already, of other lines.")
)

// ReservationChanged is the data of every event about a reservation.
type ReservationChanged struct {
	ReservationID string       `json:"reservation_id"`
	OrderID       string       `json:"order_id"`
	State         string       `json:"state"`
	Fulfilments   []Fulfilment `json:"fulfilments"`
}

// StockChanged is the data of the event about a quantity on hand.
type StockChanged struct {
	SKU       string `json:"sku"`
	Warehouse string `json:"warehouse"`
	OnHand    int64  `json:"on_hand"`
	Reserved  int64  `json:"reserved"`
	Reason    string `json:"reason,omitempty"`
	// ChangedBy is the caller who asked for it.
	ChangedBy string `json:"changed_by,omitempty"`
}

// StockImported is the data of the event about many quantities on hand that were set at once.
type StockImported struct {
	// Lines is how many quantities were named; Created of them are of an article new to its warehouse, and Changed had
	// another value before.
	Lines   int64 `json:"lines"`
	Created int64 `json:"created"`
	Changed int64 `json:"changed"`
	// ImportedBy is the caller who asked for it.
	ImportedBy string `json:"imported_by,omitempty"`
}

// The events. The CloudEvents subject of a reservation's events is the order's id, that of an adjustment the SKU, that
// of an import "stock".
var (
	EventHeld      = contract.Event[ReservationChanged]{Type: "inventory.reservation.held.v1"}
	EventCommitted = contract.Event[ReservationChanged]{Type: "inventory.reservation.committed.v1"}
	EventReleased  = contract.Event[ReservationChanged]{Type: "inventory.reservation.released.v1"}
	EventExpired   = contract.Event[ReservationChanged]{Type: "inventory.reservation.expired.v1"}
	EventAdjusted  = contract.Event[StockChanged]{Type: "inventory.stock.adjusted.v1"}
	EventImported  = contract.Event[StockImported]{Type: "inventory.stock.imported.v1"}
)
