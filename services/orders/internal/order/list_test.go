package order_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

// Turning pages while orders arrive shows every order that was there at the start exactly once, newest first.
func TestPagesNeitherRepeatNorMissAnOrderWhileOthersArrive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	const n = 500
	old := make([]string, 0, n)
	for range n {
		old = append(old, b.place(ctx, t).ID)
	}

	arriving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for arriving.Err() == nil {
			if _, _, err := b.Place(ctx, mugs()); err != nil {
				t.Errorf("place: %v", err)
				return
			}
		}
	})
	var seen []string
	for cursor := ""; ; {
		p, err := b.List(ctx, order.Filter{}, cursor, 7)
		require.NoError(t, err)
		for _, o := range p.Orders {
			seen = append(seen, o.ID)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	stop()
	wg.Wait()

	require.GreaterOrEqual(t, len(seen), n)
	oldest := seen[len(seen)-n:]
	for i, orderID := range oldest {
		require.Equal(t, old[n-1-i], orderID)
	}
}

func TestTheLastPageHasNoCursor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	for range 4 {
		b.place(ctx, t)
	}
	first, err := b.List(ctx, order.Filter{}, "", 2)
	require.NoError(t, err)
	require.Len(t, first.Orders, 2)
	last, err := b.List(ctx, order.Filter{}, first.Next, 2)
	require.NoError(t, err)
	require.Len(t, last.Orders, 2)
	require.Empty(t, last.Next)

	_, err = b.List(as(t.Context(), "other"), order.Filter{}, first.Next, 2)
	require.ErrorIs(t, err, page.ErrFilter, "another caller's cursor")
	_, err = b.List(ctx, order.Filter{Owner: "other"}, "", 2)
	require.ErrorIs(t, err, order.ErrForeignOwner)
}
