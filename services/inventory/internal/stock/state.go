package stock

import (
	"fmt"
	"slices"

	"github.com/orderflow/orderflow/services/inventory"
)

// State is where a reservation stands.
type State string

// The states.
const (
	// Held pieces are on hand, but no longer available.
	Held State = "held"
	// Committed pieces have left the shelves.
	Committed State = "committed"
	// Released pieces were given back for good. A reservation that is released before it was made stays so, too.
	Released State = "released"
	// Expired pieces were given back because nobody committed them in time.
	Expired State = "expired"
)

// States are all states.
var States = []State{Held, Committed, Released, Expired}

// moves is the state machine.
var moves = map[State][]State{
	Held:      {Committed, Released, Expired},
	Expired:   {Held, Committed, Released},
	Committed: {},
	Released:  {},
}

// move allows or refuses a move. The refusal is ErrReleased or ErrCommitted, by the state that the reservation is in.
func move(from, to State) error {
	if slices.Contains(moves[from], to) {
		return nil
	}
	illegal := fmt.Errorf("a reservation that is %s cannot become %s", from, to)
	switch from {
	case Released:
		return inventory.ErrReleased.WithCause(illegal)
	case Committed:
		return inventory.ErrCommitted.WithCause(illegal)
	default:
		return illegal
	}
}
