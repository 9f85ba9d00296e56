package stock

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/inventory"
)

func TestOnlyTheMovesOfTheTableAreLegal(t *testing.T) {
	t.Parallel()
	legal := map[[2]State]bool{
		{Held, Committed}: true, {Held, Released}: true, {Held, Expired}: true,
		{Expired, Held}: true, {Expired, Committed}: true, {Expired, Released}: true,
	}
	for _, from := range States {
		for _, to := range States {
			err := move(from, to)
			if legal[[2]State{from, to}] {
				require.NoError(t, err, "%s → %s", from, to)
				continue
			}
			require.ErrorContains(t, err, "a reservation that is "+string(from)+" cannot become "+string(to))
			switch from {
			case Committed:
				require.ErrorIs(t, err, inventory.ErrCommitted)
			case Released:
				require.ErrorIs(t, err, inventory.ErrReleased)
			case Held, Expired:
			}
		}
	}
}
