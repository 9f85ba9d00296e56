package payment

import (
	"fmt"
	"slices"

	"github.com/orderflow/orderflow/pkg/errs"
)

// State is where a payment stands in our books.
type State string

// The states.
const (
	// Authorizing means that the provider is being asked, or will be asked again.
	Authorizing State = "authorizing"
	// Unknown means that the provider was asked, its answer was lost, and the outcome is being looked up.
	Unknown State = "unknown"
	// Authorized money is set aside at the customer's means of payment.
	Authorized State = "authorized"
	// Captured money is ours.
	Captured State = "captured"
	// PartiallyRefunded means that some of the captured money was given back.
	PartiallyRefunded State = "partially_refunded"
	// Refunded means that all of the captured money was given back.
	Refunded State = "refunded"
	// Voided means that nothing is set aside any more, or never was, and that nothing ever will be.
	Voided State = "voided"
	// Declined means that the provider or the fraud screen said no.
	Declined State = "declined"
)

// moves is the state machine. What is not listed is illegal.
//
// A Cancel may meet an Authorize or a Capture that is still running: the attempt that Temporal has given up on, the
// worker that hangs, the answer that is on its way. Money must then be neither left set aside nor left taken. This is
// how:
//
//  1. Every call to the provider is announced in the row before it is made (attempt_until, capture_started_at), and
//     Cancel raises a flag in the row (cancelled_at) before it does anything. Both happen under the row's lock, so one
//     comes first. If the flag does, the call is never made: Authorize and Capture answer ErrCancelled. So once the
//     flag is up, only calls announced before can still have an effect, and Cancel sees them in the row.
//  2. Whoever gets an answer from the provider records it truthfully, flag or no flag. A charge that is authorized in
//     spite of the flag becomes `authorized` and is voided by Cancel, which is retried until it is done.
//  3. Cancel meets an announced Authorize: it looks the charge up. Found, it is recorded and voided. Not found, it may
//     yet be made, until attempt_until: each call ends before that, by a deadline that begins with the announcement and
//     leaves a margin for a request that is still on its way. Until then Cancel answers with a retryable error; after
//     that the row is voided. Should a charge turn up even later, the Authorize that gets the answer voids it, and any
//     later Authorize or Cancel looks again, because such a row keeps its attempt_until.
//  4. Cancel meets an announced Capture: it looks the charge up and voids or refunds it. If the capture gets through
//     between the two, the provider answers the void with a captured charge, which is refunded; if the void gets
//     through first, the provider answers the capture with a voided charge.
//  5. Cancel meets a refund that was announced and not answered: it completes it before it refunds what is left.
var moves = map[State][]State{
	Authorizing:       {Authorized, Declined, Unknown, Voided},
	Unknown:           {Authorizing, Authorized, Declined, Voided},
	Authorized:        {Captured, Voided},
	Captured:          {PartiallyRefunded, Refunded},
	PartiallyRefunded: {PartiallyRefunded, Refunded},
}

// States returns every state.
func States() []State {
	return []State{Authorizing, Unknown, Authorized, Captured, PartiallyRefunded, Refunded, Voided, Declined}
}

// check returns an error that names both states where the state machine has no such move.
func (s State) check(to State) error {
	if slices.Contains(moves[s], to) {
		return nil
	}
	return errs.New(errs.Conflict, "payment_state_conflict",
		fmt.Sprintf("A payment that is %s cannot become %s.", s, to))
}

// unresolved reports whether the provider's word about an authorization is still awaited.
func (s State) unresolved() bool { return s == Authorizing || s == Unknown }

// taken reports whether there is captured money that is not all given back.
func (s State) taken() bool { return s == Captured || s == PartiallyRefunded }
