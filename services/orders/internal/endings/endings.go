// Package endings tells whoever waits for an order that it has settled, whichever replica settled it. It hears of it
// from PostgreSQL: the transaction that settles an order notifies the channel, and one connection per process listens.
// It must not know what an order is, and a notice carries no news but "look again".
package endings

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Channel is notified with the identifier of each order that settles.
const Channel = "order_settled"

// Board is where waiters of one process leave word of what they wait for.
type Board struct {
	config *pgx.ConnConfig
	log    *slog.Logger

	mu      sync.Mutex
	waiters map[string]map[chan struct{}]struct{}
}

// NewBoard returns a board that listens to the database of config once Run is called.
func NewBoard(config *pgx.ConnConfig, log *slog.Logger) *Board {
	return &Board{config: config, log: log, waiters: map[string]map[chan struct{}]struct{}{}}
}

// Watch returns a channel that gets a value whenever the order may have settled since. The waiter looks for itself
// after it called Watch and after each value; then it misses nothing. It must call stop when it no longer waits.
func (b *Board) Watch(orderID string) (changed <-chan struct{}, stop func()) {
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

// Run listens until ctx ends. It connects again whenever the connection is lost.
func (b *Board) Run(ctx context.Context) error {
	const firstPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		connected, err := b.listen(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Being told to end is no failure.
		}
		if connected {
			pause = firstPause
		}
		b.log.WarnContext(ctx, "not listening for settled orders; trying again", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// listen returns when the connection is lost, and whether there was one.
func (b *Board) listen(ctx context.Context) (connected bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, b.config.Copy())
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // What is to be closed may be broken already.
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+Channel); err != nil {
		return false, err
	}
	// Whatever settled while nobody listened can be seen now.
	b.wakeAll()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return true, err
		}
		b.wake(n.Payload)
	}
}

func (b *Board) wake(orderID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.waiters[orderID] {
		signal(c)
	}
}

func (b *Board) wakeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, waiters := range b.waiters {
		for c := range waiters {
			signal(c)
		}
	}
}

// signal leaves one value for a waiter. If one is there already, the waiter will look anyway.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
