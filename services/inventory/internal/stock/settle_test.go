package stock_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

func TestCommitTakesTheHeldPiecesOnce(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 2", "MUG MUC 9", "PEN BER 5")
	_, err := b.reserve(order, "MUG 11, PEN 1")
	require.NoError(t, err)

	require.NoError(t, b.commit(order))
	require.NoError(t, b.commit(order), "again")
	b.requireStock("MUG BER 0 0", "MUG MUC 0 0", "PEN BER 4 0")
	require.Equal(t, stock.Committed, b.state(order))

	require.ErrorIs(t, b.release(order), inventory.ErrCommitted)
	b.requireStock("MUG BER 0 0", "MUG MUC 0 0", "PEN BER 4 0")
	events := b.requireEvents(inventory.EventHeld.Type, inventory.EventCommitted.Type)
	data, err := inventory.EventCommitted.Decode(events[1])
	require.NoError(t, err)
	require.Equal(t, "committed", data.State)
	require.Len(t, data.Fulfilments, 2)
}

func TestCommitOfNothingIsRefused(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	require.ErrorIs(t, b.commit(order), inventory.ErrReservationNotFound)
	require.Empty(t, b.state(order))
}

func TestReleaseGivesTheHeldPiecesBackOnce(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 2", "MUG MUC 9")
	_, err := b.reserve(order, "MUG 11")
	require.NoError(t, err)

	require.NoError(t, b.release(order))
	require.NoError(t, b.release(order), "again")
	b.requireStock("MUG BER 2 0", "MUG MUC 9 0")
	require.ErrorIs(t, b.commit(order), inventory.ErrReleased)
	b.requireEvents(inventory.EventHeld.Type, inventory.EventReleased.Type)
}

func TestAnExpiredHoldIsGivenBackAndCanBeReleased(t *testing.T) {
	t.Parallel()
	b, order, other := setup(t), newOrder(), newOrder()
	b.put("MUG BER 9")
	for _, o := range []string{order, other} {
		_, err := b.reserve(o, "MUG 4")
		require.NoError(t, err)
	}
	n, err := b.Expire(t.Context())
	require.NoError(t, err)
	require.Zero(t, n, "nothing is overdue")

	b.expire(order)
	b.requireStock("MUG BER 9 4")
	require.Equal(t, stock.Expired, b.state(order))
	require.Equal(t, stock.Held, b.state(other))

	require.NoError(t, b.release(order))
	b.requireStock("MUG BER 9 4")
	require.Equal(t, stock.Released, b.state(order))
	b.requireEvents(inventory.EventHeld.Type, inventory.EventHeld.Type, inventory.EventExpired.Type,
		inventory.EventReleased.Type)
}

func TestCommitTakesAnExpiredHoldAgainWhereStockAllows(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 4", "PEN BER 4", "PEN MUC 9")
	_, err := b.reserve(order, "MUG 3, PEN 2")
	require.NoError(t, err)
	b.expire(order)
	rival := newOrder()
	_, err = b.reserve(rival, "MUG 2, PEN 3")
	require.NoError(t, err)

	err = b.commit(order)
	require.ErrorIs(t, err, inventory.ErrOutOfStock, "the parcel was booked from BER")
	require.Equal(t, []errs.Field{
		{Pointer: "/lines/0", Code: "out_of_stock", Message: "2 of 3 pieces are available in warehouse BER."},
		{Pointer: "/lines/1", Code: "out_of_stock", Message: "1 of 2 pieces are available in warehouse BER."},
	}, errs.From(err).Fields)
	require.Equal(t, stock.Expired, b.state(order))
	b.requireStock("MUG BER 4 2", "PEN BER 4 3", "PEN MUC 9 0")

	require.NoError(t, b.release(rival))
	require.NoError(t, b.commit(order))
	require.NoError(t, b.commit(order), "again")
	b.requireStock("MUG BER 1 0", "PEN BER 2 0", "PEN MUC 9 0")
	require.Equal(t, stock.Committed, b.state(order))
}

func TestExpiryGoesInBatchesThatShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 1000000", "PEN BER 1000000")
	const held = stock.ExpireBatch + 100
	_, err := b.pool.Exec(t.Context(), `
		WITH made AS (
			INSERT INTO reservations (id, order_id, state, lines, expires_at)
			SELECT 'rsv_' || n, 'ord_' || n, 'held', '[{"sku": "MUG", "quantity": 2}]', now() - interval '1 minute'
			FROM generate_series(1, $1::int) n RETURNING id
		), lines AS (
			INSERT INTO reservation_lines SELECT id, 1, 'MUG', 'BER', 2 FROM made
		)
		UPDATE stock SET reserved = 2 * $1::int WHERE sku = 'MUG'`, held)
	require.NoError(t, err)
	b.requireInvariant()

	counts := make([]int, 2)
	var wg sync.WaitGroup
	for i := range counts {
		wg.Go(func() {
			n, err := b.Expire(t.Context())
			if err == nil {
				counts[i] = n
			}
		})
	}
	wg.Wait()
	last, err := b.Expire(t.Context())
	require.NoError(t, err)
	for _, n := range counts {
		require.Positive(t, n)
		require.LessOrEqual(t, n, stock.ExpireBatch)
	}
	require.Equal(t, held, counts[0]+counts[1]+last)
	b.requireInvariant()
	b.requireStock("MUG BER 1000000 0", "PEN BER 1000000 0")
	require.Len(t, b.events(), held)
}
