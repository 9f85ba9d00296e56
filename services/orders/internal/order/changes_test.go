package order_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

var declined = order.Reason{Code: "payment_declined", Message: "The payment was declined."}

// The ways into a state, and the commands that lead to the next.
var (
	into = map[order.Status][]func(context.Context, bundle, string) error{
		order.Pending:        {},
		order.Cancelling:     {cancel},
		order.Confirmed:      {confirm},
		order.Cancelled:      {cancel, closeAs(orders.Cancelled)},
		order.Failed:         {closeAs(orders.Failed)},
		order.NeedsAttention: {park},
	}
	commands = map[order.Status]func(context.Context, bundle, string) error{
		order.Cancelling: cancel, order.Confirmed: confirm, order.Cancelled: closeAs(orders.Cancelled),
		order.Failed: closeAs(orders.Failed), order.NeedsAttention: park,
	}
	events = map[order.Status]string{
		order.Cancelling: orders.EventCancelRequested.Type, order.Confirmed: orders.EventConfirmed.Type,
		order.Cancelled: orders.EventCancelled.Type, order.Failed: orders.EventFailed.Type,
		order.NeedsAttention: orders.EventNeedsAttention.Type,
	}
)

func cancel(ctx context.Context, b bundle, orderID string) error {
	_, _, err := b.Cancel(ctx, orderID, "ordered twice")
	return err
}

func confirm(ctx context.Context, b bundle, orderID string) error { return b.Confirm(ctx, orderID) }

func park(ctx context.Context, b bundle, orderID string) error { return b.Park(ctx, orderID, declined) }

func closeAs(outcome orders.Outcome) func(context.Context, bundle, string) error {
	return func(ctx context.Context, b bundle, orderID string) error {
		return b.Close(ctx, orderID, outcome, declined)
	}
}

func TestEveryPairOfStatesIsEitherAMoveOrRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	allowed := map[order.Status]map[order.Status]bool{
		order.Pending: {
			order.Cancelling: true, order.Confirmed: true, order.Cancelled: true, order.Failed: true,
			order.NeedsAttention: true,
		},
		order.Cancelling: {
			order.Confirmed: true, order.Cancelled: true, order.Failed: true, order.NeedsAttention: true,
		},
		order.NeedsAttention: {order.Confirmed: true, order.Cancelled: true, order.Failed: true},
	}
	for from, way := range into {
		for to, command := range commands {
			o := b.place(ctx, t)
			for _, step := range way {
				require.NoError(t, step(ctx, b, o.ID))
			}
			published := len(b.published(t, o.ID))
			err := command(ctx, b, o.ID)
			got, getErr := b.Get(ctx, o.ID)
			require.NoError(t, getErr)
			switch {
			case allowed[from][to]:
				require.NoError(t, err, "%s → %s", from, to)
				require.Equal(t, to, got.Status)
				all := b.published(t, o.ID)
				require.Len(t, all, published+1)
				require.Equal(t, events[to], all[published])
				require.Equal(t, to == order.Confirmed || to == order.Cancelled || to == order.Failed, got.EndedAt != nil)
			case from == to || (from == order.Cancelled && to == order.Cancelling):
				require.NoError(t, err, "%s again", to)
				require.Equal(t, from, got.Status)
				require.Len(t, b.published(t, o.ID), published, "nothing happens a second time")
			default:
				require.Error(t, err, "%s → %s", from, to)
				require.Equal(t, from, got.Status)
				require.Len(t, b.published(t, o.ID), published)
				require.ErrorContains(t, err, string(from), "the error names both states")
				if to == order.Cancelling {
					require.ErrorIs(t, err, order.ErrNotCancellable)
				} else {
					require.ErrorIs(t, err, orders.ErrIllegalTransition)
					require.ErrorContains(t, err, string(to))
				}
			}
		}
	}
}

func TestTheReasonOfABadEndIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.NoError(t, b.Close(ctx, o.ID, orders.Failed, declined))

	got, err := b.Get(ctx, o.ID)
	require.NoError(t, err)
	require.Equal(t, &declined, got.Reason)
	timeline, err := b.Timeline(ctx, o.ID, "", 10)
	require.NoError(t, err)
	last := timeline.Entries[1]
	require.Equal(t, order.EntryFailed, last.Type)
	require.Equal(t, declined.Code, last.Code)
	require.Equal(t, declined.Message, last.Message)
}

func TestAnOrderThatWasHelpedLosesItsReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.NoError(t, b.Park(ctx, o.ID, declined))
	require.NoError(t, b.Confirm(ctx, o.ID))
	got, err := b.Get(ctx, o.ID)
	require.NoError(t, err)
	require.Nil(t, got.Reason)
	require.NotNil(t, got.EndedAt)
}

func TestClosingAsAnythingElseIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.ErrorIs(t, b.Close(ctx, o.ID, "confirmed", declined), orders.ErrIllegalTransition)
}

func TestACancelRequestTellsWhoAndWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	cancelling, replayed, err := b.Cancel(keyed(ctx, "c", ""), o.ID, "ordered twice")
	require.NoError(t, err)
	require.False(t, replayed)
	require.Equal(t, order.Cancelling, cancelling.Status)

	timeline, err := b.Timeline(ctx, o.ID, "", 10)
	require.NoError(t, err)
	require.JSONEq(t, `{"requested_by":"shop","reason":"ordered twice"}`, string(timeline.Entries[1].Data))

	again, replayed, err := b.Cancel(keyed(ctx, "c", ""), o.ID, "ordered twice")
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, cancelling, again)
}

func TestACancellationThatCameTooLateIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.NoError(t, cancel(ctx, b, o.ID))
	require.NoError(t, b.Confirm(ctx, o.ID))
	require.Equal(t, []string{
		order.EntryPlaced, order.EntryCancelRequested, order.EntryCancellationTooLate, order.EntryConfirmed,
	}, b.told(ctx, t, o.ID))
}

func TestACancelledOrderCannotBeConfirmedLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.NoError(t, cancel(ctx, b, o.ID))
	require.NoError(t, b.Close(ctx, o.ID, orders.Cancelled, order.Reason{Code: "cancelled", Message: "As you asked."}))
	require.ErrorIs(t, b.Confirm(ctx, o.ID), orders.ErrIllegalTransition)
	require.NotContains(t, b.published(t, o.ID), orders.EventConfirmed.Type)
}

// The saga answers a cancel request that it hears of in time with Close, else it confirms. Whichever comes first, there
// is one end, and the events tell the same.
func TestCancelAgainstConfirmHasExactlyOneHonestEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	for range 50 {
		o := b.place(ctx, t)
		var (
			wg                  sync.WaitGroup
			cancelled           order.Order
			cancelErr, closeErr error
			confirmErr          error
		)
		wg.Go(func() {
			if cancelled, _, cancelErr = b.Cancel(ctx, o.ID, ""); cancelErr == nil {
				closeErr = b.Close(ctx, o.ID, orders.Cancelled, order.Reason{Code: "cancelled", Message: "As you asked."})
			}
		})
		wg.Go(func() { confirmErr = b.Confirm(ctx, o.ID) })
		wg.Wait()

		got, err := b.Get(ctx, o.ID)
		require.NoError(t, err)
		published := b.published(t, o.ID)
		end := published[len(published)-1]
		switch got.Status {
		case order.Confirmed:
			require.NoError(t, confirmErr)
			require.Equal(t, orders.EventConfirmed.Type, end)
			require.NotContains(t, published, orders.EventCancelled.Type)
			if cancelErr != nil {
				require.ErrorIs(t, cancelErr, order.ErrNotCancellable)
			} else { // The request was taken, and came too late.
				require.Equal(t, order.Cancelling, cancelled.Status)
				require.ErrorIs(t, closeErr, orders.ErrIllegalTransition)
				require.Contains(t, b.told(ctx, t, o.ID), order.EntryCancellationTooLate)
			}
		case order.Cancelled:
			require.NoError(t, errors.Join(cancelErr, closeErr))
			require.ErrorIs(t, confirmErr, orders.ErrIllegalTransition)
			require.Equal(t, orders.EventCancelled.Type, end)
			require.NotContains(t, published, orders.EventConfirmed.Type)
		default:
			t.Fatalf("the order ended as %s", got.Status)
		}
	}
}

func TestAFailureBetweenTheStepsOfAnEndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"order_events", "outbox"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ctx := as(t.Context(), "shop")
			o := b.place(ctx, t)
			repair := b.breakTable(t, table)
			require.ErrorContains(t, b.Confirm(ctx, o.ID), "injected")
			require.ErrorContains(t, cancel(ctx, b, o.ID), "injected")
			repair()
			got, err := b.Get(ctx, o.ID)
			require.NoError(t, err)
			require.Equal(t, o, got)
			require.Equal(t, []string{order.EntryPlaced}, b.told(ctx, t, o.ID))
			require.NoError(t, b.Confirm(ctx, o.ID))
		})
	}
}

func TestWaitingEndsWhenAnotherReplicaSettlesTheOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	other := replica(t, b.pool, b.keys)
	for name, settle := range map[string]func(orderID string) error{
		"confirmed": func(id string) error { return other.Confirm(ctx, id) },
		"failed":    func(id string) error { return other.Close(ctx, id, orders.Failed, declined) },
		"parked":    func(id string) error { return other.Park(ctx, id, declined) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := b.place(ctx, t)
			settled := make(chan error, 1)
			go func() { settled <- settle(o.ID) }()
			got, err := b.Await(ctx, o.ID, time.Minute, nil)
			require.NoError(t, err)
			require.True(t, got.Status.Settled())
			require.NoError(t, <-settled)
		})
	}
}

func TestWaitingForASettledOrderEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.NoError(t, b.Confirm(ctx, o.ID))
	got, err := b.Await(ctx, o.ID, time.Minute, nil)
	require.NoError(t, err)
	require.Equal(t, order.Confirmed, got.Status)
}

func TestWaitingEndsWithItsLimitAndWithTheServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	got, err := b.Await(ctx, o.ID, time.Millisecond, nil)
	require.NoError(t, err)
	require.Equal(t, order.Pending, got.Status)

	draining := make(chan struct{})
	close(draining)
	got, err = b.Await(ctx, o.ID, time.Hour, draining)
	require.NoError(t, err)
	require.Equal(t, order.Pending, got.Status)

	gone, leave := context.WithCancel(ctx)
	leave()
	_, err = b.Await(gone, o.ID, time.Hour, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, b.Confirm(ctx, o.ID), "a client that goes away harms nothing")
}

func TestWaitingSurvivesTheLossOfTheDatabasesConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	other := replica(t, b.pool, b.keys)
	o := b.place(ctx, t)
	got := make(chan order.Order, 1)
	go func() {
		settled, err := b.Await(ctx, o.ID, time.Minute, nil)
		if err == nil {
			got <- settled
		}
	}()
	admin, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.WithoutCancel(ctx))) }()
	cut := func() (cut int) {
		require.NoError(t, admin.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%ListOthers%'`).Scan(&cut))
		return cut
	}
	require.Eventually(t, func() bool { return cut() > 0 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return other.Confirm(ctx, o.ID) == nil }, patience, time.Millisecond)
	select {
	case settled := <-got:
		require.Equal(t, order.Confirmed, settled.Status)
	case <-time.After(patience):
		t.Fatal("the waiter was forgotten")
	}
}

// A transaction that notifies makes all others that do wait for its commit, in the whole server.
func TestAnEndNotifiesNobodyButTheOutbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	listener, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig)
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close(context.WithoutCancel(ctx))) }()
	_, err = listener.Exec(ctx, "LISTEN order_settled")
	require.NoError(t, err)
	require.NoError(t, b.Confirm(ctx, b.place(ctx, t).ID))
	b.exec(t, "SELECT pg_notify('order_settled', 'by hand')")
	n, err := listener.WaitForNotification(ctx)
	require.NoError(t, err)
	require.Equal(t, "by hand", n.Payload)
}
