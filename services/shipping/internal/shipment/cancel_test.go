package shipment_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

func TestCancelCallsTheCarrierOff(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	_, err := b.book(t, req)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
		require.Equal(t, shipment.Cancelled, b.only(t, req).State)
		require.Zero(t, b.live(t, req.OrderID))
	}
	require.Equal(t, []string{shipping.EventBooked.Type, shipping.EventCancelled.Type}, b.events(t, req.OrderID))
	_, err = b.book(t, req)
	require.ErrorIs(t, err, shipping.ErrCancelled)
	require.Zero(t, b.live(t, req.OrderID))
}

func TestCancelBeforeBookRefusesTheBookThatComesLate(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	for range 2 {
		require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	}
	_, err := b.book(t, req)
	require.ErrorIs(t, err, shipping.ErrCancelled)
	require.Zero(t, b.line.submits.Load())
	require.Empty(t, b.events(t, req.OrderID), "nothing happened that others would want to know")
}

func TestCancelOfSeveralGoesOnPastOneThatFails(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.FetchedAtOnce)
	_, err := b.book(t, req)
	require.NoError(t, err)
	second := req
	second.FulfilmentID, second.To.PostalCode = "2", ordinary
	_, err = b.book(t, second)
	require.NoError(t, err)

	err = b.Cancel(t.Context(), shipping.CancelRequest{OrderID: req.OrderID, FulfilmentIDs: []string{"1", "2", "3"}})
	require.ErrorIs(t, err, shipping.ErrDispatched)
	states := map[string]shipment.State{}
	for _, sh := range b.shipments(t, req.OrderID) {
		states[sh.FulfilmentID] = sh.State
	}
	require.Equal(t, map[string]shipment.State{
		"1": shipment.Dispatched, "2": shipment.Cancelled, "3": shipment.Cancelled,
	}, states)
}

func TestCancelOfSeveralAsksTheCarrierAboutSomeAtOnce(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	all := shipping.CancelRequest{OrderID: req.OrderID}
	for i := range 12 {
		req.FulfilmentID = strconv.Itoa(i + 1)
		all.FulfilmentIDs = append(all.FulfilmentIDs, req.FulfilmentID)
		_, err := b.book(t, req)
		require.NoError(t, err)
	}
	const atATime = 8
	var calling, tooMany atomic.Int64
	var once sync.Once
	together := make(chan struct{})
	b.line.cancel = func(ctx context.Context, next func() error) error {
		defer calling.Add(-1)
		switch n := calling.Add(1); {
		case n == atATime:
			once.Do(func() { close(together) })
		case n > atATime:
			tooMany.Add(1)
		}
		select {
		case <-together:
			return next()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	require.NoError(t, b.Cancel(t.Context(), all))
	require.Zero(t, tooMany.Load(), "others need the database, too")
	require.Zero(t, b.live(t, req.OrderID))
}

func TestCancelOfSeveralKeepsWhatSucceededBesideAFailureThatMayPass(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	all := shipping.CancelRequest{OrderID: req.OrderID}
	for i, postalCode := range []string{sandbox.FetchedAtOnce, ordinary, sandbox.CancelDown, ordinary} {
		req.FulfilmentID, req.To.PostalCode = strconv.Itoa(i+1), postalCode
		all.FulfilmentIDs = append(all.FulfilmentIDs, req.FulfilmentID)
		_, err := b.book(t, req)
		require.NoError(t, err)
	}
	err := b.Cancel(t.Context(), all)
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
	require.NotErrorIs(t, err, shipping.ErrDispatched, "what is final comes when nothing else is left to do")
	require.Equal(t, 2, b.live(t, req.OrderID))
	require.NoError(t, b.books.SetOutage(t.Context(), false))
	require.ErrorIs(t, b.Cancel(t.Context(), all), shipping.ErrDispatched)
	require.Equal(t, 1, b.live(t, req.OrderID))
}

func TestCancelThatCrashesEndsItsCallAndNotTheProcess(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	_, err := b.book(t, req)
	require.NoError(t, err)
	b.line.cancel = func(context.Context, func() error) error { panic("crash") }
	require.PanicsWithValue(t, "crash", func() { _ = b.Cancel(t.Context(), cancelOf(req)) })
	b.line.cancel = nil
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Zero(t, b.live(t, req.OrderID))
}

func TestCancelAfterDispatchIsRejected(t *testing.T) {
	t.Parallel()
	for _, state := range []shipment.State{
		shipment.Dispatched, shipment.InTransit, shipment.Delivered, shipment.Returned, shipment.Lost,
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			b, req := setup(t), request(ordinary)
			booking, err := b.book(t, req)
			require.NoError(t, err)
			b.exec(t, `update shipments set state = $1`, string(state))

			err = b.Cancel(t.Context(), cancelOf(req))
			require.ErrorIs(t, err, shipping.ErrDispatched)
			require.False(t, errs.From(err).Kind.Retryable())
			require.Equal(t, state, b.only(t, req).State)
			require.Equal(t, 1, b.live(t, req.OrderID))
			again, err := b.book(t, req)
			require.NoError(t, err)
			require.Equal(t, booking, again)
		})
	}
}

func TestCancelThatTheCarrierRefusesShowsTheDispatch(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.FetchedAtOnce)
	_, err := b.book(t, req)
	require.NoError(t, err)
	for range 2 {
		require.ErrorIs(t, b.Cancel(t.Context(), cancelOf(req)), shipping.ErrDispatched)
	}
	require.Equal(t, shipment.Dispatched, b.only(t, req).State)
	require.Equal(t, []string{shipping.EventBooked.Type, shipping.EventDispatched.Type}, b.events(t, req.OrderID))
}

func TestCancelWhileTheCarrierIsDownCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.CancelDown)
	_, err := b.book(t, req)
	require.NoError(t, err)
	for range 2 {
		require.ErrorIs(t, b.Cancel(t.Context(), cancelOf(req)), shipping.ErrCarrierUnavailable)
	}
	_, err = b.book(t, req)
	require.ErrorIs(t, err, shipping.ErrCarrierUnavailable, "a shipment that is being called off is no booking any more")
	require.NoError(t, b.books.SetOutage(t.Context(), false))
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Zero(t, b.live(t, req.OrderID))
}

func TestCancelWhoseAnswerWasLostCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	_, err := b.book(t, req)
	require.NoError(t, err)
	b.line.cancel = func(_ context.Context, next func() error) error {
		require.NoError(t, next())
		return shipping.ErrOutcomeUnknown
	}
	require.ErrorIs(t, b.Cancel(t.Context(), cancelOf(req)), shipping.ErrOutcomeUnknown)
	require.Equal(t, shipment.Booked, b.only(t, req).State)
	b.line.cancel = nil
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
}

func TestBookingThatTheCarrierWithdrewIsCancelled(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		ticket, err := next(ctx)
		require.NoError(t, err)
		return ticket, b.books.Cancel(ctx, ticket)
	}
	_, err := b.book(t, req)
	require.ErrorIs(t, err, shipping.ErrCancelled)
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
}

// The races that follow are those of the package's doc, each forced into its order.

// A cancellation that comes while a submission is on its way waits until it is known what became of it.
func TestCancelWaitsForASubmissionOnItsWay(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	onItsWay, arrive := make(chan struct{}), make(chan struct{})
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		close(onItsWay)
		<-arrive
		return next(ctx)
	}
	booked := b.bookInBackground(t.Context(), req, shipment.Progress{})
	<-onItsWay
	require.ErrorIs(t, b.Cancel(t.Context(), cancelOf(req)), shipping.ErrOutcomeUnknown)
	close(arrive)
	require.ErrorIs(t, <-booked, shipping.ErrCancelled)
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
	require.Zero(t, b.live(t, req.OrderID))
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Equal(t, []string{shipping.EventCancelled.Type}, b.events(t, req.OrderID))
}

// A cancellation finds a booking whose answer is still on its way back.
func TestCancelFindsABookingThatBookDoesNotKnowYet(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	arrived, answer := make(chan struct{}), make(chan struct{})
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		ticket, err := next(ctx)
		close(arrived)
		<-answer
		return ticket, err
	}
	booked := b.bookInBackground(t.Context(), req, shipment.Progress{})
	<-arrived
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Zero(t, b.live(t, req.OrderID))
	close(answer)
	require.ErrorIs(t, <-booked, shipping.ErrCancelled)
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
	require.Zero(t, b.live(t, req.OrderID))
}

// The carrier has confirmed, and the cancellation comes before Book could write that down.
func TestCancelBetweenConfirmationAndOurBooks(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	confirmed, write := make(chan struct{}), make(chan struct{})
	b.line.status = func(_ context.Context, next func() (shipment.Status, error)) (shipment.Status, error) {
		status, err := next()
		if status.Stage == shipment.Confirmed {
			close(confirmed)
			<-write
		}
		return status, err
	}
	booked := b.bookInBackground(t.Context(), req, shipment.Progress{})
	<-confirmed
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	close(write)
	require.ErrorIs(t, <-booked, shipping.ErrCancelled)
	require.Zero(t, b.live(t, req.OrderID))
	require.NotContains(t, b.events(t, req.OrderID), shipping.EventBooked.Type)
}

// The other order: the intent is marked, and the confirmation must not be written any more.
func TestConfirmationDuringACancellationIsNoBooking(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	asked, calling, hangUp := make(chan struct{}), make(chan struct{}), make(chan struct{})
	b.line.status = func(_ context.Context, next func() (shipment.Status, error)) (shipment.Status, error) {
		close(asked)
		<-calling
		return next()
	}
	var once sync.Once
	b.line.cancel = func(_ context.Context, next func() error) error {
		first := false
		once.Do(func() { first = true; close(calling) })
		if first {
			<-hangUp
		}
		return next()
	}
	booked := b.bookInBackground(t.Context(), req, shipment.Progress{})
	<-asked
	cancelled := make(chan error, 1)
	go func() { cancelled <- b.Cancel(t.Context(), cancelOf(req)) }()
	require.ErrorIs(t, <-booked, shipping.ErrCancelled, "Book helps and does not wait for the one who cancels")
	close(hangUp)
	require.NoError(t, <-cancelled)
	require.Zero(t, b.live(t, req.OrderID))
	require.Equal(t, []string{shipping.EventCancelled.Type}, b.events(t, req.OrderID))
}

// A process may be frozen for longer than any deadline. What it submits then is called off by itself.
func TestSubmissionThatOutlivesItsDeadlineIsCalledOff(t *testing.T) {
	t.Parallel()
	b, req := setup(t, impatient), request(ordinary)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		close(frozen)
		<-thaw
		return next(context.WithoutCancel(ctx))
	}
	booked := b.bookInBackground(t.Context(), req, shipment.Progress{})
	<-frozen
	b.cancelUntilDone(t, req)
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
	close(thaw)
	require.ErrorIs(t, <-booked, shipping.ErrCancelled)
	require.Zero(t, b.live(t, req.OrderID))
}

// The same, and the carrier is down when it is to be called off: it must not be forgotten.
func TestBookingOfACancelledShipmentIsCalledOffLater(t *testing.T) {
	t.Parallel()
	b, req := setup(t, impatient), request(sandbox.CancelDown)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		close(frozen)
		<-thaw
		return next(context.WithoutCancel(ctx))
	}
	booked := b.bookInBackground(t.Context(), req, shipment.Progress{})
	<-frozen
	b.cancelUntilDone(t, req)
	close(thaw)
	require.ErrorIs(t, <-booked, shipping.ErrCarrierUnavailable)
	require.Equal(t, 1, b.live(t, req.OrderID))
	require.NoError(t, b.books.SetOutage(t.Context(), false))
	require.NoError(t, b.RecoverNow(t.Context()))
	require.Zero(t, b.live(t, req.OrderID))
}

func TestCancelAfterACrashInMidSubmission(t *testing.T) {
	t.Parallel()
	b, req := setup(t, impatient), request(ordinary)
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		_, _ = next(ctx)
		panic("crash")
	}
	require.Panics(t, func() { _, _ = b.book(t, req) })
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Zero(t, b.live(t, req.OrderID))
}

func TestBookAndCancelRacing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(s *settings) { s.slow = 30 * time.Millisecond })
	reqs := make([]shipping.BookRequest, 50)
	var group sync.WaitGroup
	for i := range reqs {
		reqs[i] = request([]string{ordinary, sandbox.Slow, sandbox.Refuses}[i%3])
		// The cancellation begins at once, with the first steps of the booking, or after it.
		steps := make(chan struct{}, 100)
		group.Go(func() {
			defer close(steps)
			_, _ = b.Book(t.Context(), reqs[i], shipment.Progress{Report: func(shipment.Checkpoint) {
				select {
				case steps <- struct{}{}:
				default:
				}
			}})
		})
		group.Go(func() {
			for range i % 5 {
				<-steps
			}
			_ = b.Cancel(t.Context(), cancelOf(reqs[i]))
		})
	}
	group.Wait()
	for _, req := range reqs {
		if b.only(t, req).State == shipment.Cancelled {
			require.Zero(t, b.live(t, req.OrderID), "cancelled means that nothing is left at the carrier")
		}
		b.cancelUntilDone(t, req)
		require.Equal(t, shipment.Cancelled, b.only(t, req).State)
		require.Zero(t, b.live(t, req.OrderID))
	}
}
