package payment

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/payments"
)

func TestEveryMoveIsLegalOrNamesBothStates(t *testing.T) {
	t.Parallel()
	legal := map[string]bool{
		"authorizing→authorized": true, "authorizing→declined": true, "authorizing→unknown": true,
		"authorizing→voided":  true,
		"unknown→authorizing": true, "unknown→authorized": true, "unknown→declined": true, "unknown→voided": true,
		"authorized→captured": true, "authorized→voided": true,
		"captured→partially_refunded": true, "captured→refunded": true,
		"partially_refunded→partially_refunded": true, "partially_refunded→refunded": true,
	}
	for _, from := range States() {
		for _, to := range States() {
			move := fmt.Sprintf("%s→%s", from, to)
			err := from.check(to)
			if legal[move] {
				require.NoError(t, err, move)
				continue
			}
			require.Equal(t, errs.Conflict, errs.From(err).Kind, move)
			require.Contains(t, err.Error(), string(from))
			require.Contains(t, err.Error(), string(to))
		}
	}
}

// What the provider's books say either moves ours forward, or is old news, or contradicts them. Money that is set aside
// at the provider is never overlooked, and never forgotten because an old answer arrives.
func TestOurBooksFollowTheProviders(t *testing.T) {
	t.Parallel()
	const same, illegal = State("same"), State("illegal")
	want := map[Status]map[State]State{
		StatusAuthorized: {
			Authorizing: Authorized, Unknown: Authorized, Authorized: same, Captured: same, PartiallyRefunded: same,
			Refunded: same, Voided: same, Declined: same,
		},
		StatusCaptured: {
			Authorizing: illegal, Unknown: illegal, Authorized: Captured, Captured: same, PartiallyRefunded: same,
			Refunded: same, Voided: illegal, Declined: illegal,
		},
		StatusVoided: {
			Authorizing: Voided, Unknown: Voided, Authorized: Voided, Captured: illegal, PartiallyRefunded: illegal,
			Refunded: illegal, Voided: same, Declined: illegal,
		},
		StatusDeclined: {
			Authorizing: Declined, Unknown: Declined, Authorized: illegal, Captured: illegal, PartiallyRefunded: illegal,
			Refunded: illegal, Voided: same, Declined: same,
		},
	}
	for status, byState := range want {
		for _, from := range States() {
			name := fmt.Sprintf("%s when %s", status, from)
			before := Payment{ID: "pay_1", State: from, Amount: money.Of(10, "EUR")}
			after, event, err := before.follow(Charge{Reference: "r", Status: status, Decline: payments.ErrDeclined})
			switch expected := byState[from]; expected {
			case illegal:
				require.Error(t, err, name)
			case same:
				require.NoError(t, err, name)
				require.Equal(t, from, after.State, name)
				require.Nil(t, event, name)
			default:
				require.NoError(t, err, name)
				require.Equal(t, expected, after.State, name)
				require.NotNil(t, event, name)
			}
		}
	}
}
