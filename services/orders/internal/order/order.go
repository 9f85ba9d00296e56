// Package order is what the orders service knows about orders: their states, who may see and change them, and what is
// told about them. Each exported method of Service is one transaction in which a change, its entry in the order's
// timeline and its event go together. It must not know HTTP, Temporal, or what other services' events look like.
package order

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// Order is an order as it is now. The payment token is not part of it: the service hands it on, sealed, and forgets it
// once the order has ended.
type Order struct {
	ID         string `json:"id"`
	Owner      string `json:"owner"`
	CustomerID string `json:"customer_id"`

	Status     Status           `json:"status"`
	Payment    PaymentStatus    `json:"payment"`
	Fulfilment FulfilmentStatus `json:"fulfilment"`
	// Reason says why, where an order was cancelled, failed or needs attention.
	Reason *Reason `json:"reason,omitempty"`

	Total           money.Money    `json:"total"`
	Lines           []orders.Line  `json:"lines"`
	ShippingAddress orders.Address `json:"shipping_address"`

	PlacedAt  time.Time `json:"placed_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// EndedAt is set once Status.Ended holds.
	EndedAt *time.Time `json:"ended_at,omitempty"`
}

// Reason says why, to programs and to customers.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Entry is one thing that happened to an order.
type Entry struct {
	// Seq is the place in the order's timeline, from 1. Entries become visible in the order of Seq.
	Seq int64
	// Type is such as "order.placed" or "payment.authorized".
	Type string
	At   time.Time
	// Code says why, where something went wrong.
	Code string
	// Message is made for customers.
	Message string
	// Data is a JSON object with a few facts that a customer may see.
	Data json.RawMessage
}

// The failures that only clients of the API see.
var (
	// ErrNotCancellable comes with a message that names the order's state.
	ErrNotCancellable = errs.New(errs.Conflict, "order_not_cancellable", "The order can no longer be cancelled.")
	// ErrForeignOwner means that a caller asked for a list of somebody else's orders.
	ErrForeignOwner = errs.New(errs.Forbidden, "foreign_owner", "Only operators may list the orders of others.")
)

func fromRow(row db.Order) Order {
	o := Order{
		ID: row.ID, Owner: row.Owner, CustomerID: row.CustomerID,
		Status: Status(row.Status), Payment: PaymentStatus(row.PaymentStatus),
		Fulfilment: FulfilmentStatus(row.FulfilmentStatus),
		Total:      money.Of(row.Total, row.Currency), Lines: row.Lines, ShippingAddress: row.ShippingAddress,
		PlacedAt: row.PlacedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
	if row.ReasonCode != "" || row.ReasonMessage != "" {
		o.Reason = &Reason{Code: row.ReasonCode, Message: row.ReasonMessage}
	}
	if row.EndedAt != nil {
		ended := row.EndedAt.UTC()
		o.EndedAt = &ended
	}
	return o
}

func entryFromRow(row db.OrderEvent) Entry {
	return Entry{
		Seq: row.Seq, Type: row.Type, At: row.At.UTC(), Code: row.Code, Message: row.Message, Data: row.Data,
	}
}

// facts encodes what an entry tells beside its message.
func facts(data map[string]any) (json.RawMessage, error) {
	if len(data) == 0 {
		return json.RawMessage(`{}`), nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("order: encode facts: %w", err)
	}
	return raw, nil
}
