// Package orders is the public contract of the orders service: what an order is when it is placed, which events the
// service publishes, and which activities it offers to the saga. It holds no logic but the rules that every order
// obeys.
package orders

import (
	"time"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
)

// TaskQueue is polled by the workers of the orders service.
const TaskQueue = "orders"

// Stream holds the events of the orders service.
var Stream = contract.Stream{Name: "ORDERS", Subjects: []string{"orders.>"}}

// Line is a quantity of one article at the price the caller agreed with the customer.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	// UnitPrice is in minor units of the order's currency.
	UnitPrice int64 `json:"unit_price"`
}

// Address is where an order goes. It is personal data: in events and workflows it travels sealed.
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

// Order is what a client asks for.
type Order struct {
	CustomerID      string  `json:"customer_id"`
	Currency        string  `json:"currency"`
	Lines           []Line  `json:"lines"`
	ShippingAddress Address `json:"shipping_address"`
	// PaymentToken stands for a means of payment at the payment provider. It is never kept in the clear.
	PaymentToken string `json:"payment_token"`
}

// Total is the sum of all lines, or money.ErrOverflow.
func (o Order) Total() (money.Money, error) {
	total := money.Of(0, o.Currency)
	for _, l := range o.Lines {
		price, err := money.Of(l.UnitPrice, o.Currency).Times(l.Quantity)
		if err != nil {
			return money.Money{}, err
		}
		if total, err = total.Add(price); err != nil {
			return money.Money{}, err
		}
	}
	return total, nil
}

// Placed is the data of EventPlaced.
type Placed struct {
	OrderID string `json:"order_id"`
	// SealedOrder is the Order as JSON, sealed with the platform's keyring: it holds a name, an address and a token.
	SealedOrder []byte    `json:"sealed_order"`
	PlacedAt    time.Time `json:"placed_at"`
}

// CancelRequested is the data of EventCancelRequested.
type CancelRequested struct {
	OrderID string `json:"order_id"`
	Reason  string `json:"reason,omitempty"`
	// RequestedBy is the caller who asked.
	RequestedBy string `json:"requested_by"`
}

// Ended is the data of the events that tell how an order ended, or that it is parked.
type Ended struct {
	OrderID string `json:"order_id"`
	// Code and Message say why, where the order was not confirmed. The message is made for customers.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// The events. Each is published once its change is committed, at least once.
var (
	EventPlaced          = contract.Event[Placed]{Type: "orders.order.placed.v1"}
	EventCancelRequested = contract.Event[CancelRequested]{Type: "orders.order.cancel_requested.v1"}
	EventConfirmed       = contract.Event[Ended]{Type: "orders.order.confirmed.v1"}
	EventCancelled       = contract.Event[Ended]{Type: "orders.order.cancelled.v1"}
	EventFailed          = contract.Event[Ended]{Type: "orders.order.failed.v1"}
	EventNeedsAttention  = contract.Event[Ended]{Type: "orders.order.needs_attention.v1"}
)

// ConfirmRequest says that everything an order needs is committed.
type ConfirmRequest struct {
	OrderID string `json:"order_id"`
}

// Outcome is the honest end of an order that was undone.
type Outcome string

// The outcomes.
const (
	// Cancelled orders were undone because somebody asked for it.
	Cancelled Outcome = "cancelled"
	// Failed orders were undone because a step could not be done.
	Failed Outcome = "failed"
)

// CloseRequest says that an order was undone completely, and why.
type CloseRequest struct {
	OrderID string  `json:"order_id"`
	Outcome Outcome `json:"outcome"`
	Code    string  `json:"code"`
	Message string  `json:"message"`
}

// ParkRequest says that an order waits for an operator, and why.
type ParkRequest struct {
	OrderID string `json:"order_id"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Ack is the answer of an activity that has nothing to tell.
type Ack struct{}

// The activities. Each is idempotent by order id: a second call with the same end changes nothing.
var (
	// Confirm ends an order well: → confirmed. It wins over a cancel request that came too late.
	Confirm = contract.Activity[ConfirmRequest, Ack]{
		Queue: TaskQueue, Name: "orders/Confirm", StartToClose: 10 * time.Second,
		Final: []*errs.Error{ErrIllegalTransition, ErrOrderNotFound},
	}
	// Close ends an order that was undone: → cancelled or failed.
	Close = contract.Activity[CloseRequest, Ack]{
		Queue: TaskQueue, Name: "orders/Close", StartToClose: 10 * time.Second,
		Final: []*errs.Error{ErrIllegalTransition, ErrOrderNotFound},
	}
	// Park shows that an order waits for an operator: → needs_attention.
	Park = contract.Activity[ParkRequest, Ack]{
		Queue: TaskQueue, Name: "orders/Park", StartToClose: 10 * time.Second,
		Final: []*errs.Error{ErrIllegalTransition, ErrOrderNotFound},
	}
)

// The failures.
var (
	ErrInvalidOrder      = errs.New(errs.Invalid, "invalid_order", "The order breaks a rule.")
	ErrOrderNotFound     = errs.New(errs.NotFound, "order_not_found", "There is no such order.")
	ErrIllegalTransition = errs.New(errs.Conflict, "illegal_order_transition", "The order's state does not allow this.")
)
