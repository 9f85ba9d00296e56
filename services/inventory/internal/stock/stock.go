// Package stock is what the inventory service knows: how many pieces of an article are on hand in which warehouse,
// which of them are held for an order, and how a reservation goes from one state to another. Every exported method of
// Service that changes something is one transaction, in which the events about the change are written as well. The
// package must not know about HTTP or Temporal.
package stock

import (
	"regexp"
	"time"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory"
)

// Limits.
const (
	// MaxOnHand is the largest quantity of one article in one warehouse, in pieces. The sum over all warehouses there
	// may ever be stays far below the largest int64.
	MaxOnHand = 1_000_000_000_000
	// MaxLines of one reservation, and MaxQuantity of one line in pieces.
	MaxLines    = 100
	MaxQuantity = 1_000_000

	maxOrderID = 100
)

var (
	skuPattern       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	warehousePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
)

// The failures that only callers of the HTTP API meet.
var (
	// ErrNoSuchSKU has the code of inventory.ErrUnknownSKU, because it says the same. It is of another kind: what was
	// asked for is not there, while there an order is wrong.
	ErrNoSuchSKU = errs.New(errs.NotFound, inventory.ErrUnknownSKU.Code, "There is no such article.")
	// ErrNotStocked means that the article was never in the warehouse, or that one of them does not exist.
	ErrNotStocked = errs.New(errs.NotFound, "stock_not_found", "The article is not kept in this warehouse.")
	// ErrBelowReserved means that pieces which are promised to orders would be missing.
	ErrBelowReserved = errs.New(errs.Conflict, "stock_below_reserved",
		"The quantity on hand would be less than what is reserved.")
	// ErrTooMuch means that the quantity on hand would exceed MaxOnHand.
	ErrTooMuch = errs.New(errs.Invalid, "stock_too_large", "The quantity on hand would be too large.")
	// ErrInvalidAdjustment means that an adjustment breaks a rule.
	ErrInvalidAdjustment = errs.New(errs.Invalid, "invalid_adjustment", "The adjustment breaks a rule.")
	// ErrInvalidImport names the lines that are wrong, up to MaxFaults of them. Nothing was imported.
	ErrInvalidImport = errs.New(errs.Invalid, "invalid_import", "Nothing was imported, because lines are wrong.")
	// ErrBodyUnreadable means that the import broke off before its end. Nothing was imported.
	ErrBodyUnreadable = errs.New(errs.Malformed, "body_unreadable", "The body could not be read to its end.")
	// ErrImportBusy means that as many imports run as may at once, or that other changes got in the way of this one.
	ErrImportBusy = errs.New(errs.Unavailable, "import_busy",
		"Stock is being changed by others. Please send the import again.")
)

// Item is the stock of one article in one warehouse, in pieces. 0 <= Reserved <= OnHand holds at every instant.
type Item struct {
	SKU       string    `json:"sku"`
	Warehouse string    `json:"warehouse"`
	OnHand    int64     `json:"on_hand"`
	Reserved  int64     `json:"reserved"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Available is what can still be reserved.
func (i Item) Available() int64 { return i.OnHand - i.Reserved }

// Warehouse is a place that holds stock.
type Warehouse struct {
	Code string
	// Priority 1 is asked first, 1000 last.
	Priority  int32
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Reservation is stock that is, or was, held for an order.
type Reservation struct {
	ID      string
	OrderID string
	State   State
	// Lines are what was asked for. They are empty where the reservation was released before it was made.
	Lines []inventory.Line
	// Fulfilments are where the pieces come from, or came from.
	Fulfilments []inventory.Fulfilment
	// ExpiresAt is when a held reservation is given back unless it is committed before.
	ExpiresAt time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}
