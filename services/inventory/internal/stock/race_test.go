package stock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

// watch samples the stock until stop is called, which fails the test if it ever was out of its bounds. The table has a
// constraint that says the same; this is to see it from outside.
func (b bundle) watch() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	var samples, violations atomic.Int64
	wg.Go(func() {
		for ctx.Err() == nil {
			var wrong int64
			err := b.pool.QueryRow(ctx,
				`SELECT count(*) FROM stock WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand`).Scan(&wrong)
			if err == nil {
				samples.Add(1)
				violations.Add(wrong)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		require.Positive(b.t, samples.Load())
		require.Zero(b.t, violations.Load())
		b.t.Logf("%d samples", samples.Load())
	}
}

// together runs fn n times at once and returns the errors.
func together(n int, fn func(i int) error) []error {
	failures := make([]error, n)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			failures[i] = fn(i)
		})
	}
	close(begin)
	wg.Wait()
	return failures
}

func TestTheLastPiecesAreSoldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 30", "MUG MUC 20")
	stop := b.watch()
	orders := make([]string, 200)
	for i := range orders {
		orders[i] = newOrder()
	}

	held := 0
	for _, err := range together(len(orders), func(i int) error {
		_, err := b.reserve(orders[i], "MUG 1")
		return err
	}) {
		if err == nil {
			held++
			continue
		}
		require.ErrorIs(t, err, inventory.ErrOutOfStock)
	}
	require.Equal(t, 50, held)
	b.requireStock("MUG BER 30 30", "MUG MUC 20 20")
	b.requireInvariant()

	for _, err := range together(len(orders), func(i int) error { return b.commit(orders[i]) }) {
		if err != nil {
			require.ErrorIs(t, err, inventory.ErrReservationNotFound)
		}
	}
	stop()
	b.requireStock("MUG BER 0 0", "MUG MUC 0 0")
}

func TestOneOrderReservedManyTimesAtOnceHoldsOnce(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 100")

	answers := make([]inventory.Reservation, 20)
	for _, err := range together(len(answers), func(i int) (err error) {
		answers[i], err = b.reserve(order, "MUG 3")
		return err
	}) {
		require.NoError(t, err)
	}
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
	b.requireStock("MUG BER 100 3")
	b.requireEvents(inventory.EventHeld.Type)
}

func TestReserveAndReleaseAtOnceEndReleased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 100")
	for range 50 {
		order := newOrder()
		failures := together(2, func(i int) error {
			if i == 0 {
				return b.release(order)
			}
			_, err := b.reserve(order, "MUG 3")
			return err
		})
		require.NoError(t, failures[0])
		if failures[1] != nil {
			require.ErrorIs(t, failures[1], inventory.ErrReleased)
		}
		require.Equal(t, stock.Released, b.state(order))
	}
	b.requireStock("MUG BER 100 0")
}

func TestCommitAndReleaseAndExpireAtOnceAgreeOnOneEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 1000")
	var left int64 = 1000
	for range 30 {
		order := newOrder()
		_, err := b.reserve(order, "MUG 3")
		require.NoError(t, err)
		b.pass(order)
		failures := together(3, func(i int) error {
			switch i {
			case 0:
				return b.commit(order)
			case 1:
				return b.release(order)
			default:
				_, err := b.Expire(t.Context())
				return err
			}
		})
		require.NoError(t, failures[2])
		if failures[0] == nil {
			left -= 3
			require.ErrorIs(t, failures[1], inventory.ErrCommitted)
			require.Equal(t, stock.Committed, b.state(order))
			continue
		}
		require.ErrorIs(t, failures[0], inventory.ErrReleased)
		require.NoError(t, failures[1])
		require.Equal(t, stock.Released, b.state(order))
	}
	b.requireStock(fmt.Sprintf("MUG BER %d 0", left))
}

func TestRandomOperationsAtOnceKeepTheBooksRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("A BER 60", "A MUC 60", "B BER 60", "B HAM 60", "C MUC 60", "C HAM 60", "D BER 60")
	stop := b.watch()
	orders := make([]atomic.Value, 60)
	for i := range orders {
		orders[i].Store(newOrder())
	}
	var done atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()

	for _, err := range together(16, func(i int) error {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		for ctx.Err() == nil {
			err := b.randomOperation(rnd, orders)
			if !expected(err) {
				return err
			}
			done.Add(1)
		}
		return nil
	}) {
		require.NoError(t, err)
	}
	stop()
	t.Logf("%d operations", done.Load())
	require.Greater(t, done.Load(), int64(100))
	b.requireInvariant()

	// Whoever keeps to the order of locks is never the victim of a deadlock, which InTx would hide.
	var deadlocks int64
	require.NoError(t, b.pool.QueryRow(t.Context(),
		`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks))
	require.Zero(t, deadlocks)
}

func (b bundle) randomOperation(rnd *rand.Rand, orders []atomic.Value) error {
	ctx, n := b.t.Context(), rnd.IntN(len(orders))
	order, _ := orders[n].Load().(string)
	switch rnd.IntN(12) {
	case 0, 1, 2, 3:
		// Always the same lines for the same order, in an order of their own.
		lines := strings.Split("A 3, B 4, C 2, D 1", ", ")
		own := rand.New(rand.NewPCG(2, uint64(n)))
		own.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		_, err := b.reserve(order, strings.Join(lines[:1+own.IntN(4)], ", "))
		return err
	case 4, 5:
		settle := b.commit
		if rnd.IntN(2) == 0 {
			settle = b.release
		}
		if err := settle(order); err != nil {
			return err
		}
		if rnd.IntN(2) == 0 {
			orders[n].Store(newOrder()) // The order is over, and there must always be something to do.
		}
		return nil
	case 6:
		_, err := b.pool.Exec(ctx, `UPDATE reservations SET expires_at = now() WHERE order_id = $1`, order)
		return err
	case 7:
		_, err := b.Expire(ctx)
		return err
	case 8:
		_, err := b.Adjust(ctx, "A", "BER", rnd.Int64N(9)-4, "random")
		return err
	case 9:
		_, err := b.SetOnHand(ctx, "B", "HAM", rnd.Int64N(90), "")
		return err
	case 10:
		_, err := b.PutWarehouse(ctx, "MUC", 1+rnd.Int32N(200))
		return err
	default:
		_, err := b.Import(ctx, csvOf("D BER "+fmt.Sprint(rnd.IntN(90)), "C MUC 60", "A MUC 70", "B BER 55"))
		return err
	}
}

// expected are the failures that the state of stock and reservations explains.
func expected(err error) bool {
	for _, e := range []error{
		inventory.ErrOutOfStock, inventory.ErrReleased, inventory.ErrCommitted, inventory.ErrReservationNotFound,
		stock.ErrBelowReserved, stock.ErrInvalidAdjustment, stock.ErrInvalidImport, stock.ErrImportBusy,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return err == nil
}
