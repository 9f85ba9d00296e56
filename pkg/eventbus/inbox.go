package eventbus

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderflow/orderflow/pkg/postgres"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema creates the inbox: the table of the events that a consumer has handled.
var Schema = postgres.Migrations{Name: "inbox", FS: migrations}

// Once records in tx that the consumer handles the event, and reports whether this is the first time. If it is not, the
// effects of the event are already committed and the handler has nothing to do. While another transaction handles the
// same event, Once waits for its end; if that one fails, first is true here.
func Once(ctx context.Context, tx pgx.Tx, consumer, eventID string) (first bool, err error) {
	tag, err := tx.Exec(ctx,
		"insert into inbox (consumer, event_id) values ($1, $2) on conflict do nothing", consumer, eventID)
	if err != nil {
		return false, fmt.Errorf("eventbus: inbox: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// PurgeInbox forgets events that were handled so long ago that no stream still holds them, and returns how many there
// were. A service calls it from time to time.
func PurgeInbox(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	// A day more than the stream keeps them, for clocks that differ.
	before := time.Now().Add(-retention - 24*time.Hour)
	n, err := postgres.DeleteInBatches(ctx, pool, `
		delete from inbox where (consumer, event_id) in (
			select consumer, event_id from inbox where handled_at < $2
			order by handled_at limit $1 for update skip locked)`, before)
	if err != nil {
		return n, fmt.Errorf("eventbus: purge the inbox: %w", err)
	}
	return n, nil
}
