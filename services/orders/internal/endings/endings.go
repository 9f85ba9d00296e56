// Package endings tells whoever waits for an order that it has settled, whichever replica settled it: at once if this
// process did, else the board finds out by asking for all that are waited for together, as long as there are any. So a
// wait costs those who wait. To notify them would cost every order that ends, waited for or not: of the transactions
// that have notified, PostgreSQL lets only one at a time commit. The package must not know what an order is.
package endings

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// lookEvery bounds how late a waiter hears of an order that another replica settled.
	lookEvery = 50 * time.Millisecond

	// lookTimeout limits one look, and maxPause the wait after looks that failed.
	lookTimeout, maxPause = 5 * time.Second, 5 * time.Second
)

// Look returns which of the orders have settled.
type Look func(ctx context.Context, orderIDs []string) (settled []string, err error)

// Board is where waiters of one process leave word of what they wait for.
type Board struct {
	look Look
	log  *slog.Logger

	mu      sync.Mutex
	waiters map[string]map[chan struct{}]struct{}
}

// NewBoard returns a board that looks for itself once Run is called.
func NewBoard(look Look, log *slog.Logger) *Board {
	return &Board{look: look, log: log, waiters: map[string]map[chan struct{}]struct{}{}}
}

// Watch returns a channel that gets a value once the order has settled. The waiter must call stop when it no longer
// waits.
func (b *Board) Watch(orderID string) (settled <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters[orderID] == nil {
		b.waiters[orderID] = map[chan struct{}]struct{}{}
	}
	b.waiters[orderID][c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiters[orderID], c)
		if len(b.waiters[orderID]) == 0 {
			delete(b.waiters, orderID)
		}
	}
}

// Settled tells the waiters of this process at once. Call it after the commit that settled the orders.
func (b *Board) Settled(orderIDs ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, orderID := range orderIDs {
		for c := range b.waiters[orderID] {
			select {
			case c <- struct{}{}:
			default: // It has been told already.
			}
		}
	}
}

// Run looks, while anybody waits, until ctx ends. A look that fails is tried again.
func (b *Board) Run(ctx context.Context) error {
	pause := lookEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if err := b.lookOnce(ctx); err == nil {
			pause = lookEvery
		} else if ctx.Err() == nil {
			pause = min(2*pause, maxPause)
			b.log.WarnContext(ctx, "cannot see which orders have settled; trying again", "error", err, "pause", pause)
		}
	}
}

func (b *Board) lookOnce(ctx context.Context) error {
	waitedFor := b.waitedFor()
	if len(waitedFor) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	settled, err := b.look(ctx, waitedFor)
	b.Settled(settled...)
	return err
}

func (b *Board) waitedFor() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.waiters))
}
