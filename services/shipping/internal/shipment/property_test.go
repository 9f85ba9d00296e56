package shipment_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

// faults makes the line to the carrier as bad as can be, by chance in percent.
type faults struct{ percent atomic.Int64 }

// strike says which half of a call fails.
func (f *faults) strike() (before, after, crash bool) {
	if rand.Int64N(100) >= f.percent.Load() {
		return false, false, false
	}
	switch rand.IntN(6) {
	case 0, 1:
		return true, false, false
	case 2, 3:
		return false, true, false
	case 4:
		return true, false, true
	default:
		return false, true, true
	}
}

// faulty makes one call, or half of it. A crash is a panic: nothing is written down after it.
func faulty[T any](f *faults, next func() (T, error)) (T, error) {
	var zero T
	before, after, crash := f.strike()
	if before {
		if crash {
			panic("crash")
		}
		return zero, shipping.ErrCarrierUnavailable
	}
	result, err := next()
	if after {
		if crash {
			panic("crash")
		}
		return zero, shipping.ErrOutcomeUnknown
	}
	return result, err
}

func (f *faults) attach(l *line) {
	type found struct {
		ticket string
		ok     bool
	}
	l.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		return faulty(f, func() (string, error) { return next(ctx) })
	}
	l.status = func(_ context.Context, next func() (shipment.Status, error)) (shipment.Status, error) {
		return faulty(f, next)
	}
	l.cancel = func(_ context.Context, next func() error) error {
		_, err := faulty(f, func() (struct{}, error) { return struct{}{}, next() })
		return err
	}
	l.find = func(_ context.Context, next func() (string, bool, error)) (string, bool, error) {
		r, err := faulty(f, func() (found, error) {
			ticket, ok, err := next()
			return found{ticket, ok}, err
		})
		return r.ticket, r.ok, err
	}
}

// survive runs one operation of a process that may crash in it.
func survive(operation func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return operation()
}

func TestOurBooksAndTheCarriersAgreeAtRest(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *settings) { s.timing.Call, s.slow = 150*time.Millisecond, 20*time.Millisecond })
	var f faults
	f.attach(b.line)
	codes := []string{ordinary, sandbox.Slow, sandbox.Refuses, sandbox.DownTwice, sandbox.FetchedAtOnce}

	rapid.Check(t, func(rt *rapid.T) {
		const fulfilments = 3
		order := request(ordinary).OrderID
		reqs := make([]shipping.BookRequest, fulfilments)
		for i := range reqs {
			reqs[i] = request(rapid.SampledFrom(codes).Draw(rt, "postal code"))
			reqs[i].OrderID, reqs[i].FulfilmentID = order, fmt.Sprint(i+1)
		}
		undone := make([]atomic.Bool, fulfilments)
		f.percent.Store(int64(rapid.IntRange(0, 60).Draw(rt, "percent of faults")))

		// Operations of one round run at the same time.
		for range rapid.IntRange(1, 3).Draw(rt, "rounds") {
			var round sync.WaitGroup
			for _, op := range rapid.SliceOfN(rapid.IntRange(0, 3*fulfilments-1), 1, 5).Draw(rt, "operations") {
				i := op % fulfilments
				undo := op >= 2*fulfilments
				if undo {
					undone[i].Store(true)
				}
				round.Go(func() {
					_ = survive(func() error {
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						defer cancel()
						if undo {
							return b.Cancel(ctx, cancelOf(reqs[i]))
						}
						_, err := b.Book(ctx, reqs[i], shipment.Progress{})
						return err
					})
				})
			}
			round.Wait()
		}

		// Everybody tries again until there is a final answer, and then all is at rest.
		f.percent.Store(0)
		for i, req := range reqs {
			require.Eventually(rt, func() bool {
				if undone[i].Load() {
					err := b.Cancel(t.Context(), cancelOf(req))
					return err == nil || !errs.From(err).Kind.Retryable()
				}
				_, err := b.Book(t.Context(), req, shipment.Progress{})
				return err == nil || !errs.From(err).Kind.Retryable()
			}, 20*time.Second, 10*time.Millisecond)
		}
		agree(t, rt, b, order, undone)
	})
}

// agree compares the books of both companies.
func agree(t *testing.T, rt *rapid.T, b bundle, order string, undone []atomic.Bool) {
	t.Helper()
	carriers := map[string]int{}
	bookings, err := b.books.Bookings(t.Context(), order)
	require.NoError(rt, err)
	for _, booking := range bookings {
		if booking.Live() {
			carriers[booking.FulfilmentID]++
		}
	}
	ours := map[string]int{}
	for _, sh := range b.shipments(t, order) {
		switch sh.State {
		case shipment.Booked, shipment.Dispatched:
			ours[sh.FulfilmentID]++
		case shipment.Cancelled:
		case shipment.Booking, shipment.InTransit, shipment.Delivered, shipment.Returned, shipment.Lost:
			rt.Fatalf("fulfilment %s is %s at rest", sh.FulfilmentID, sh.State)
		}
		if sh.State == shipment.Booked && undone[sh.FulfilmentID[0]-'1'].Load() {
			rt.Fatalf("fulfilment %s is booked although it was called off", sh.FulfilmentID)
		}
	}
	require.Equal(rt, carriers, ours)
}
