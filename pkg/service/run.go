package service

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
)

// Part is something that a program does until its context ends. It drains before it returns, within its own deadline.
type Part func(ctx context.Context) error

// Run runs parts until ctx ends or one of them fails, then waits for all to drain. The parts that others lean on run on
// until those have drained: the relay, so that the last events leave, and the ops server, which says that the program
// is draining.
func Run(ctx context.Context, leanedOn []Part, parts ...Part) error {
	lastCtx, stopLast := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLast()
	all, ctx := errgroup.WithContext(ctx)
	for _, part := range leanedOn {
		all.Go(func() error { return part(lastCtx) })
	}
	all.Go(func() error {
		defer stopLast()
		group, ctx := errgroup.WithContext(ctx)
		for _, part := range parts {
			group.Go(func() error { return part(ctx) })
		}
		return group.Wait()
	})
	return all.Wait()
}

// The pauses after a job that failed grow from the first to the last.
const firstRetry, lastRetry = 100 * time.Millisecond, 5 * time.Second

// Every returns the part that does a job at once and then at every interval. A job that fails is logged and tried again
// sooner than that.
func Every(interval time.Duration, log *slog.Logger, what string, job func(context.Context) error) Part {
	return func(ctx context.Context) error {
		retry := firstRetry
		for {
			pause := interval
			if err := job(ctx); err == nil {
				retry = firstRetry
			} else if ctx.Err() == nil {
				pause = min(interval, retry)
				retry = min(2*retry, lastRetry)
				log.WarnContext(ctx, what+" failed; trying again", "error", err, "pause", pause)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
		}
	}
}
