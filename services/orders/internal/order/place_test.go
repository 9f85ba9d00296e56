package order_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

func TestPlacingStoresOrderTimelineAndEventTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")

	placed := b.place(ctx, t)
	require.Equal(t, order.Pending, placed.Status)
	require.Equal(t, money.Of(2500, "EUR"), placed.Total)
	require.Equal(t, "shop", placed.Owner)

	got, err := b.Get(ctx, placed.ID)
	require.NoError(t, err)
	require.Equal(t, placed, got)
	require.Equal(t, []string{order.EntryPlaced}, b.told(ctx, t, placed.ID))
	require.Equal(t, []string{orders.EventPlaced.Type}, b.published(t, placed.ID))
}

func TestThePlacedEventHoldsTheSealedOrderAndNothingReadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(as(t.Context(), "shop"), t)

	var payload string
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT convert_from(payload, 'UTF8') FROM outbox`).Scan(&payload))
	require.NotContains(t, payload, "Ada")
	var event struct{ Data orders.Placed }
	require.NoError(t, json.Unmarshal([]byte(payload), &event))
	require.Equal(t, placed.ID, event.Data.OrderID)

	plain, err := b.keys.Open(event.Data.SealedOrder)
	require.NoError(t, err)
	var opened orders.Order
	require.NoError(t, json.Unmarshal(plain, &opened))
	require.Equal(t, mugs(), opened)
}

func TestThePaymentTokenIsKeptNowhereInTheClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	b.place(keyed(ctx, "k", "body"), t)
	for _, table := range []string{"orders", "order_events", "idempotency_keys"} {
		require.Zero(t, b.count(t, `SELECT count(*) FROM `+table+` AS r WHERE r::text LIKE '%tok_secret%'`), table)
	}
	require.Zero(t, b.count(t, `SELECT count(*) FROM outbox WHERE position('tok_secret'::bytea IN payload) > 0`))
	require.Zero(t, b.count(t, `SELECT count(*) FROM announcements WHERE position('tok_secret'::bytea IN sealed_order) > 0`))
}

func TestAnInvalidOrderIsNotStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := mugs()
	bad.Lines = append(bad.Lines, bad.Lines[0])
	_, _, err := b.Place(keyed(as(t.Context(), "shop"), "k", "body"), bad)
	require.ErrorIs(t, err, orders.ErrInvalidOrder)
	for _, table := range []string{"orders", "order_events", "outbox", "idempotency_keys"} {
		require.Zero(t, b.count(t, `SELECT count(*) FROM `+table), table)
	}
}

func TestFiftyRequestsWithOneKeyPlaceOneOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := keyed(as(t.Context(), "shop"), "k", "body")
	const n = 50
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		placed = map[string]bool{}
		first  int
	)
	for range n {
		wg.Go(func() {
			for { // A request that meets another one with its key is told to come again.
				o, replayed, err := b.Place(ctx, mugs())
				if errors.Is(err, idempotency.ErrInUse) {
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("place: %v", err)
					return
				}
				placed[o.ID] = true
				if !replayed {
					first++
				}
				return
			}
		})
	}
	wg.Wait()
	require.Len(t, placed, 1)
	require.Equal(t, 1, first, "all others are repetitions")
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM orders`))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM outbox`))
}

func TestTheSameKeyWithAnotherBodyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	b.place(keyed(ctx, "k", "body"), t)
	_, _, err := b.Place(keyed(ctx, "k", "other"), mugs())
	require.ErrorIs(t, err, idempotency.ErrReused)

	_, replayed, err := b.Place(keyed(as(t.Context(), "other shop"), "k", "other"), mugs())
	require.NoError(t, err, "another caller's key is another key")
	require.False(t, replayed)
}

func TestARepetitionGetsTheFirstAnswerWhateverHappenedSince(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := keyed(as(t.Context(), "shop"), "k", "body")
	placed := b.place(ctx, t)
	require.NoError(t, b.Confirm(ctx, placed.ID))

	again, replayed, err := b.Place(ctx, mugs())
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, placed, again)
}

// breakTable makes every insert into a table fail, as a crash in the middle of a transaction would.
func (b bundle) breakTable(t *testing.T, table string) (repair func()) {
	t.Helper()
	exec := func(sql string) {
		_, err := b.pool.Exec(context.WithoutCancel(t.Context()), sql)
		require.NoError(t, err)
	}
	exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'injected'; END $$`)
	exec(`CREATE TRIGGER refuse BEFORE INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION refuse()`)
	return func() { exec(`DROP FUNCTION refuse CASCADE`) }
}

func TestAFailureBetweenTheStepsOfPlacingStoresNothing(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"orders", "order_events", "outbox", "idempotency_keys"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ctx := keyed(as(t.Context(), "shop"), "k", "body")
			repair := b.breakTable(t, table)
			_, _, err := b.Place(ctx, mugs())
			require.ErrorContains(t, err, "injected")
			require.Equal(t, errs.Internal, errs.From(err).Kind)
			for _, table := range []string{"orders", "order_events", "outbox", "idempotency_keys"} {
				require.Zero(t, b.count(t, `SELECT count(*) FROM `+table), table)
			}

			repair()
			_, replayed, err := b.Place(ctx, mugs())
			require.NoError(t, err, "the same request works once the fault is gone")
			require.False(t, replayed)
			require.Equal(t, 1, b.count(t, `SELECT count(*) FROM orders`))
			require.Equal(t, 1, b.count(t, `SELECT count(*) FROM outbox`))
		})
	}
}

func TestOthersDoNotSeeAnOrderButOperatorsDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	placed := b.place(as(t.Context(), "shop"), t)
	other := as(t.Context(), "other")

	_, err := b.Get(other, placed.ID)
	require.ErrorIs(t, err, orders.ErrOrderNotFound)
	_, err = b.Timeline(other, placed.ID, "", 10)
	require.ErrorIs(t, err, orders.ErrOrderNotFound)
	_, _, err = b.Cancel(other, placed.ID, "")
	require.ErrorIs(t, err, orders.ErrOrderNotFound)

	got, err := b.Get(as(t.Context(), "ops", "orders:operate"), placed.ID)
	require.NoError(t, err)
	require.Equal(t, placed, got)
}

func TestUnknownOrdersAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	for _, orderID := range []string{"", "x", "ord_019360c2-0000-7000-8000-000000000000", "ord_\x00"} {
		_, err := b.Get(ctx, orderID)
		require.ErrorIs(t, err, orders.ErrOrderNotFound)
		_, _, err = b.Cancel(ctx, orderID, "")
		require.ErrorIs(t, err, orders.ErrOrderNotFound)
		require.NotErrorIs(t, err, pgx.ErrNoRows)
	}
	require.ErrorIs(t, b.Confirm(ctx, "ord_019360c2-0000-7000-8000-000000000000"), orders.ErrOrderNotFound)
}
