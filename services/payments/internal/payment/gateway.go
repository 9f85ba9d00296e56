package payment

import (
	"context"
	"errors"
	"time"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
)

// Gateway is a payment provider. Every call names a key of ours and is idempotent by it: called again, at the same time
// or years later, it has no second effect and answers what the provider's books say by then.
//
// Errors tell one thing only, by their kind (errs.From): a Declined one means that the provider refused for good,
// errs.Unavailable that nothing has happened and another try may succeed. Any other error, above all the end of ctx,
// means that the provider may have acted, and that Find must be asked before anything is tried again.
type Gateway interface {
	// Authorize sets money aside. A declined charge is an answer, not an error.
	Authorize(ctx context.Context, call AuthorizeCall) (Charge, error)
	// Capture takes all the money set aside. Where the charge was voided before, it answers the voided charge. It
	// returns payments.ErrCaptureRefused when the provider will not pay out.
	Capture(ctx context.Context, ref ChargeRef) (Charge, error)
	// Void lets the money go. Where the charge was captured before, it answers the captured charge. At the provider a
	// charge is either voided or captured, never both: the race of a cancellation with a capture is decided there.
	Void(ctx context.Context, ref ChargeRef) (Charge, error)
	// Refund gives captured money back.
	Refund(ctx context.Context, call RefundCall) error
	// Find looks a charge up. It returns ErrNoCharge when the provider has none by that key, as of now: a request that
	// is still on its way may make one later.
	Find(ctx context.Context, ref ChargeRef) (Charge, error)
}

// ErrNoCharge says that the provider knows no charge by a key.
var ErrNoCharge = errors.New("payment: the provider has no such charge")

// AuthorizeCall asks to set money aside.
type AuthorizeCall struct {
	ChargeRef
	OrderID string
	Amount  money.Money
	// Token stands for the means of payment at the provider.
	Token string
}

// ChargeRef says which charge is meant.
type ChargeRef struct {
	// Key is ours, and the same for all attempts at an order.
	Key string
	// Attempt counts up from 1 with each ErrProcessing. A provider that answers a repeated key with the failure it
	// remembers needs another key then.
	Attempt int
	// Reference is the provider's own name for the charge, empty until its first answer.
	Reference string
	// Since and Until enclose the time at which the charge was made, if it was, by our clock.
	Since, Until time.Time
}

// RefundCall asks to give money back.
type RefundCall struct {
	Charge ChargeRef
	// Key is ours, and the same for all attempts at a refund.
	Key    string
	Amount money.Money
	Reason string
}

// Status is what became of a charge at the provider.
type Status string

// The statuses. A captured charge stays captured when it is refunded.
const (
	StatusAuthorized Status = "authorized"
	StatusCaptured   Status = "captured"
	StatusVoided     Status = "voided"
	StatusDeclined   Status = "declined"
)

// Charge is what the provider's books say.
type Charge struct {
	// Reference is the provider's own name for the charge.
	Reference string
	Status    Status
	// Decline says why, where the charge was declined; its kind is errs.Declined.
	Decline *errs.Error
	// Refunds are the amounts given back, in minor units, by the key of the refund. Only Find fills it in.
	Refunds map[string]int64
}
