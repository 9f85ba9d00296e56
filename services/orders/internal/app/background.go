package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/orders"
)

var errNoStream = errs.New(errs.Unavailable, "stream_not_ensured", "The stream of events is not there yet.")

// streamKeeper makes sure that the stream of the service's events exists, as soon as NATS can be reached.
type streamKeeper struct {
	js      jetstream.JetStream
	log     *slog.Logger
	ensured atomic.Bool
}

func (k *streamKeeper) run(ctx context.Context) error {
	const firstPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := eventbus.EnsureStream(ctx, k.js, orders.Stream)
		if err == nil {
			k.ensured.Store(true)
			return nil
		}
		k.log.InfoContext(ctx, "the stream of events is not there yet", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (k *streamKeeper) ready(context.Context) error {
	if !k.ensured.Load() {
		return errNoStream
	}
	return nil
}

// purge removes expired answers every hour.
func purge(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		n, err := idempotency.Purge(ctx, pool)
		if err != nil {
			log.WarnContext(ctx, "expired idempotency keys were not purged", "error", err)
			continue
		}
		log.InfoContext(ctx, "expired idempotency keys purged", "keys", n)
	}
}
