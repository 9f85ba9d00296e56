package order

import (
	"fmt"
	"slices"

	"github.com/orderflow/orderflow/services/orders"
)

// Status is the state of an order.
type Status string

// The states.
const (
	// Pending orders are being worked on.
	Pending Status = "pending"
	// Cancelling orders are to be undone because somebody asked for it. Such a request may come too late.
	Cancelling Status = "cancelling"
	// Confirmed orders have all they need: stock, money and shipments.
	Confirmed Status = "confirmed"
	// Cancelled orders were undone completely because somebody asked for it.
	Cancelled Status = "cancelled"
	// Failed orders were undone completely because a step could not be done.
	Failed Status = "failed"
	// NeedsAttention is the state of orders that wait for an operator.
	NeedsAttention Status = "needs_attention"
)

// moves is the state machine of an order: where it may go from each state. A state that is not named here is final.
var moves = map[Status][]Status{
	Pending:        {Cancelling, Confirmed, Cancelled, Failed, NeedsAttention},
	Cancelling:     {Confirmed, Cancelled, Failed, NeedsAttention},
	NeedsAttention: {Confirmed, Cancelled, Failed},
}

// move returns nil if an order may go from s to to, else orders.ErrIllegalTransition with a cause that names both.
func (s Status) move(to Status) error {
	if slices.Contains(moves[s], to) {
		return nil
	}
	return orders.ErrIllegalTransition.WithCause(fmt.Errorf("an order that is %s cannot become %s", s, to))
}

// Ended reports whether the order reached its one honest end.
func (s Status) Ended() bool { return s == Confirmed || s == Cancelled || s == Failed }

// Settled reports whether there is an answer for whoever waits for the order: its end, or that an operator must help.
func (s Status) Settled() bool { return s.Ended() || s == NeedsAttention }

// PaymentStatus is what is known about an order's money.
type PaymentStatus string

// The payment statuses.
const (
	PaymentNone              PaymentStatus = "none"
	PaymentUnknown           PaymentStatus = "unknown"
	PaymentAuthorized        PaymentStatus = "authorized"
	PaymentCaptured          PaymentStatus = "captured"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentVoided            PaymentStatus = "voided"
	PaymentDeclined          PaymentStatus = "declined"
)

// FulfilmentStatus is what is known about an order's goods.
type FulfilmentStatus string

// The fulfilment statuses.
const (
	FulfilmentNone      FulfilmentStatus = "none"
	FulfilmentReserved  FulfilmentStatus = "reserved"
	FulfilmentBooked    FulfilmentStatus = "booked"
	FulfilmentCancelled FulfilmentStatus = "cancelled"
	FulfilmentCommitted FulfilmentStatus = "committed"
	FulfilmentReleased  FulfilmentStatus = "released"
)

// How far a payment or a fulfilment has come. Events about it may arrive out of order and twice; a status is replaced
// only by one that is farther, so that the last word stays whatever order they arrive in. Clocks play no part.
var (
	paymentProgress = map[PaymentStatus]int{
		PaymentNone: 0, PaymentUnknown: 1, PaymentAuthorized: 2, PaymentCaptured: 3, PaymentPartiallyRefunded: 4,
		PaymentRefunded: 5, PaymentVoided: 5, PaymentDeclined: 5,
	}
	fulfilmentProgress = map[FulfilmentStatus]int{
		FulfilmentNone: 0, FulfilmentReserved: 1, FulfilmentBooked: 2, FulfilmentCancelled: 3,
		FulfilmentCommitted: 4, FulfilmentReleased: 5,
	}
)

// before returns the statuses that s may replace: none for a status that is not known.
func before[S ~string](progress map[S]int, s S) []string {
	earlier := []string{}
	for other, rank := range progress {
		if rank < progress[s] {
			earlier = append(earlier, string(other))
		}
	}
	return earlier
}
