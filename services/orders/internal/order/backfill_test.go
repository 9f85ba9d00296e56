package order_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/orders/internal/order"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

// backfillAnnouncements applies 00003 to a database that forgot it.
func (b bundle) backfillAnnouncements(ctx context.Context) error {
	if _, err := b.pool.Exec(ctx, `DELETE FROM goose_orders WHERE version_id = 3`); err != nil {
		return err
	}
	return postgres.Migrate(ctx, b.pool.Config().ConnString(), slog.New(slog.DiscardHandler),
		outbox.Schema, idempotency.Schema, store.Migrations)
}

func TestOrdersThatAreOlderThanAnnouncementsAreAnnouncedAgainByTheEventsThatTheOutboxKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := as(t.Context(), "shop")
	pending, cancelling, parked, ended, swept := b.place(ctx, t), b.place(ctx, t), b.place(ctx, t), b.place(ctx, t), b.place(ctx, t)
	require.NoError(t, cancel(ctx, b, cancelling.ID))
	require.NoError(t, b.Park(ctx, parked.ID, declined))
	require.NoError(t, b.Confirm(ctx, ended.ID))
	events := b.waiting(t)
	sealed := func() (rows []string) {
		err := b.pool.QueryRow(t.Context(), `SELECT array_agg(order_id || encode(sealed_order, 'hex') ORDER BY order_id)
			FROM announcements WHERE order_id <> $1`, swept.ID).Scan(&rows)
		require.NoError(t, err)
		return rows
	}
	before := sealed()
	b.exec(t, `DELETE FROM announcements`)
	b.exec(t, `UPDATE outbox SET published_at = now(), created_at = created_at - interval '1 hour'`)
	b.exec(t, `DELETE FROM outbox WHERE event_id IN (SELECT event_id FROM order_events WHERE order_id = '`+swept.ID+`')`)

	require.NoError(t, b.backfillAnnouncements(t.Context()))
	require.Equal(t, before, sealed())
	require.Zero(t, b.count(t, `SELECT count(*) FROM announcements WHERE order_id IN ($1, $2)`, ended.ID, swept.ID))
	announced, err := b.AnnounceAgain(t.Context(), silence)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{pending.ID, cancelling.ID}, announced, "the parked one waits for its operator")
	require.Subset(t, events, b.waiting(t))
	require.Len(t, b.waiting(t), 3)

	require.NoError(t, b.Close(ctx, pending.ID, "failed", order.Reason{Code: "x", Message: "x"}))
	require.Zero(t, b.count(t, `SELECT count(*) FROM announcements WHERE order_id = $1`, pending.ID))
}

func TestABackfillDoesNotTouchWhatIsThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.place(as(t.Context(), "shop"), t)
	b.pass(t, "7")
	before := b.count(t, `SELECT extract(epoch FROM announced_at)::int FROM announcements WHERE order_id = $1`, o.ID)
	require.NoError(t, b.backfillAnnouncements(t.Context()))
	require.Equal(t, before,
		b.count(t, `SELECT extract(epoch FROM announced_at)::int FROM announcements WHERE order_id = $1`, o.ID))
}

func TestOfAnOrderThatEndsDuringTheBackfillNothingIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.place(as(t.Context(), "shop"), t)
	b.exec(t, `DELETE FROM announcements`)
	ending, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = ending.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = ending.Exec(t.Context(), `UPDATE orders SET status = 'confirmed' WHERE id = $1`, o.ID)
	require.NoError(t, err)

	filled := make(chan error, 1)
	go func() { filled <- b.backfillAnnouncements(t.Context()) }()
	require.Eventually(t, func() bool {
		return b.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%forgotten%'`) > 0
	}, patience, time.Millisecond)
	require.NoError(t, ending.Commit(t.Context()))
	require.NoError(t, <-filled)
	require.Zero(t, b.count(t, `SELECT count(*) FROM announcements`))
}
