package order_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/order"
)

const silence = 15 * time.Minute

// waiting returns what waits to be published, oldest first.
func (b bundle) waiting(t *testing.T) (events []string) {
	t.Helper()
	err := b.pool.QueryRow(t.Context(), `SELECT coalesce(array_agg(event_id || ' ' || convert_from(payload, 'UTF8')
		ORDER BY seq), '{}') FROM outbox WHERE published_at IS NULL`).Scan(&events)
	require.NoError(t, err)
	return events
}

func (b bundle) exec(t *testing.T, statement string) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), statement)
	require.NoError(t, err)
}

// pass lets time pass for all orders.
func (b bundle) pass(t *testing.T, minutes string) {
	t.Helper()
	b.exec(t, `UPDATE announcements SET announced_at = announced_at - interval '`+minutes+` minutes'`)
}

func TestASilentOrderIsAnnouncedAgainByTheSameEvents(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]string{
		"published": `UPDATE outbox SET published_at = now()`,
		"swept":     `DELETE FROM outbox`,
		"waiting":   `SELECT 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ctx := as(t.Context(), "shop")
			pending, cancelling := b.place(ctx, t), b.place(ctx, t)
			_, _, err := b.Cancel(ctx, cancelling.ID, "ordered twice")
			require.NoError(t, err)
			events := b.waiting(t)
			require.Len(t, events, 3)

			b.exec(t, since)
			b.pass(t, "16")
			announced, err := b.AnnounceAgain(t.Context(), silence)
			require.NoError(t, err)
			require.Equal(t, []string{pending.ID, cancelling.ID}, announced)
			require.Equal(t, events, b.waiting(t))
			require.Equal(t, 3, b.count(t, `SELECT count(*) FROM outbox`))
		})
	}
}

func TestAnOrderIsNotAnnouncedAgainBeforeItWasSilentForLong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	silent := func() bool {
		announced, err := b.AnnounceAgain(t.Context(), silence)
		require.NoError(t, err)
		return len(announced) > 0
	}
	require.False(t, silent(), "it has just been placed")
	b.pass(t, "14")
	require.False(t, silent())
	b.pass(t, "2")
	require.True(t, silent())
	require.False(t, silent(), "it has just been announced again")
	b.pass(t, "14")
	require.NoError(t, cancel(ctx, b, o.ID))
	b.pass(t, "14")
	require.False(t, silent(), "its cancellation was announced 14 minutes ago")
	b.pass(t, "2")
	require.True(t, silent())
}

func TestAnOrderThatWaitsForAnOperatorIsNotAnnouncedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	o := b.place(ctx, t)
	require.NoError(t, b.Park(ctx, o.ID, declined))
	b.pass(t, "1000")
	announced, err := b.AnnounceAgain(t.Context(), silence)
	require.NoError(t, err)
	require.Empty(t, announced)
}

func TestOfAnOrderThatEndedNothingIsKeptToAnnounce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	for status, way := range into {
		o := b.place(ctx, t)
		for _, step := range way {
			require.NoError(t, step(ctx, b, o.ID))
		}
		kept := b.count(t, `SELECT count(*) FROM announcements WHERE order_id = $1`, o.ID)
		require.Equal(t, status.Ended(), kept == 0, status)
	}
	o := b.place(ctx, t)
	require.NoError(t, b.Park(ctx, o.ID, declined))
	require.NoError(t, b.Close(ctx, o.ID, orders.Failed, declined))
	require.Zero(t, b.count(t, `SELECT count(*) FROM announcements WHERE order_id = $1`, o.ID))
}

func TestReplicasThatLookAtOnceAnnounceEachOrderOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	const n = 600 // more than one batch
	for range n {
		b.place(ctx, t)
	}
	b.exec(t, `DELETE FROM outbox`)
	b.pass(t, "16")
	other := replica(t, b.pool, b.keys)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total int
	)
	for _, service := range []*order.Service{b.Service, other, b.Service, other} {
		wg.Go(func() {
			announced, err := service.AnnounceAgain(t.Context(), silence)
			if err != nil {
				t.Errorf("announce: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += len(announced)
		})
	}
	wg.Wait()
	require.Equal(t, n, total)
	require.Len(t, b.waiting(t), n)
}
