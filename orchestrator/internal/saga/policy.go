package saga

import (
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/orderflow/orderflow/pkg/contract"
)

// policies are the saga's half of every activity's options. The other half, the time-outs of one attempt and the
// failures that are final, belongs to the contract of the service.
type policies struct {
	reserve, authorize, book, capture contract.Policy
	// undo is tried a number of times and then parked.
	undo contract.Policy
	// insist is for what has to succeed: it ends only with a failure that no retry can cure.
	insist contract.Policy
	// tell is for what should be known, but nobody waits for.
	tell contract.Policy
}

func newPolicies(set Settings) policies {
	return policies{
		// Whatever of it is tried again is a failure of our own house, which may take minutes to pass.
		reserve: contract.Policy{Retry: retry(10*time.Second, 30), Deadline: 10 * time.Minute},
		// An outcome that is unknown is looked up again and again; a provider needs minutes at times.
		authorize: contract.Policy{Retry: retry(30*time.Second, 20), Deadline: 20 * time.Minute},
		// A carrier that is down for long costs the customer more patience than another try is worth. See saga.book.
		book:    contract.Policy{Retry: retry(10*time.Second, 5), Deadline: 30 * time.Minute},
		capture: contract.Policy{Retry: retry(30*time.Second, 20), Deadline: 20 * time.Minute},
		undo:    contract.Policy{Retry: retry(30*time.Second, set.CompensationAttempts), Priority: first},
		insist:  contract.Policy{Retry: retry(time.Minute, unlimited), Priority: first},
		tell:    contract.Policy{Retry: retry(time.Minute, unlimited), Deadline: 5 * time.Minute},
	}
}

const (
	unlimited = 0
	// first lets what has been begun end before anything new starts.
	first = 1
)

// retry starts after a second and doubles the pause up to longest.
func retry(longest time.Duration, attempts int32) temporal.RetryPolicy {
	return temporal.RetryPolicy{
		InitialInterval:    time.Second,
		BackoffCoefficient: 2,
		MaximumInterval:    longest,
		MaximumAttempts:    attempts,
	}
}
