package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

const (
	expireEvery = 30 * time.Second
	purgeEvery  = time.Hour
	// A stream that an operator lost is there again after this time. While NATS is away it is tried more often.
	streamEvery = time.Minute
	retryAfter  = time.Second
)

// upkeep does what must be done from time to time, until ctx ends. All of it may be done by several replicas at once.
func upkeep(ctx context.Context, log *slog.Logger, svc *stock.Service, pool *pgxpool.Pool, stream *streamKeeper) error {
	var jobs errgroup.Group
	every := func(interval time.Duration, what string, job func(context.Context) error) {
		jobs.Go(func() error {
			for {
				pause := interval
				if err := job(ctx); err != nil && ctx.Err() == nil {
					log.WarnContext(ctx, what+" failed; trying again", "error", err)
					pause = min(interval, retryAfter)
				}
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(pause):
				}
			}
		})
	}
	every(streamEvery, "ensuring the stream", stream.ensure)
	every(expireEvery, "expiring reservations", func(ctx context.Context) error { return expireAll(ctx, log, svc) })
	every(purgeEvery, "purging idempotency keys", func(ctx context.Context) error {
		_, err := idempotency.Purge(ctx, pool)
		return err
	})
	return jobs.Wait()
}

func expireAll(ctx context.Context, log *slog.Logger, svc *stock.Service) error {
	for {
		expired, err := svc.Expire(ctx)
		if err != nil {
			return err
		}
		if expired > 0 {
			log.InfoContext(ctx, "reservations expired", "count", expired)
		}
		if expired < stock.ExpireBatch {
			return nil
		}
	}
}

// streamKeeper makes the stream of the service's events.
type streamKeeper struct {
	js      jetstream.JetStream
	ensured atomic.Bool
}

var errNoStream = errors.New("the stream of events is not there yet")

func (k *streamKeeper) ensure(ctx context.Context) error {
	if err := eventbus.EnsureStream(ctx, k.js, inventory.Stream); err != nil {
		return err
	}
	k.ensured.Store(true)
	return nil
}

func (k *streamKeeper) ready(context.Context) error {
	if !k.ensured.Load() {
		return errNoStream
	}
	return nil
}
