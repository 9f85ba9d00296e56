package shipment_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

func TestBookIsConfirmedByTheCarrierAndTold(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	booking, err := b.book(t, req)
	require.NoError(t, err)

	sh := b.only(t, req)
	require.Equal(t, shipment.Booked, sh.State)
	require.Equal(t, req.Items, sh.Items)
	require.Equal(t, req.To, *sh.To)
	require.Equal(t, shipping.Booking{
		ShipmentID: sh.ID, Carrier: "sandbox", TrackingNumber: sh.TrackingNumber,
	}, booking)
	books, err := b.books.Bookings(t.Context(), req.OrderID)
	require.NoError(t, err)
	require.Len(t, books, 1)
	require.Equal(t, books[0].TrackingNumber, booking.TrackingNumber)
	require.Equal(t, []string{shipping.EventBooked.Type}, b.events(t, req.OrderID))
}

func TestBookAgainAnswersTheSame(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	first, err := b.book(t, req)
	require.NoError(t, err)
	second, err := b.book(t, req)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.EqualValues(t, 1, b.line.submits.Load())
	require.Equal(t, []string{shipping.EventBooked.Type}, b.events(t, req.OrderID))
}

func TestBookOfOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	_, err := b.book(t, req)
	require.NoError(t, err)
	for name, change := range map[string]func(*shipping.BookRequest){
		"items":     func(r *shipping.BookRequest) { r.Items = r.Items[:1] },
		"quantity":  func(r *shipping.BookRequest) { r.Items = []shipping.Item{{SKU: "TEA-1", Quantity: 3}, r.Items[1]} },
		"address":   func(r *shipping.BookRequest) { r.To.Line1 = "Elsewhere 2" },
		"warehouse": func(r *shipping.BookRequest) { r.Warehouse = "hamburg" },
	} {
		other := req
		change(&other)
		_, err := b.book(t, other)
		require.ErrorIs(t, err, shipping.ErrShipmentMismatch, name)
	}
	require.Equal(t, 1, b.live(t, req.OrderID))
}

func TestBookOfABadRequestStoresNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		change func(*shipping.BookRequest)
		want   *errs.Error
		field  string
	}{
		"no items":      {func(r *shipping.BookRequest) { r.Items = nil }, shipping.ErrShipmentInvalid, "/items"},
		"zero":          {func(r *shipping.BookRequest) { r.Items[0].Quantity = 0 }, shipping.ErrShipmentInvalid, "/items/0/quantity"},
		"too many":      {func(r *shipping.BookRequest) { r.Items[1].Quantity = 1_000_001 }, shipping.ErrShipmentInvalid, "/items/1/quantity"},
		"same sku":      {func(r *shipping.BookRequest) { r.Items[1].SKU = "TEA-1" }, shipping.ErrShipmentInvalid, "/items/1/sku"},
		"no fulfilment": {func(r *shipping.BookRequest) { r.FulfilmentID = "" }, shipping.ErrShipmentInvalid, "/fulfilment_id"},
		"no warehouse":  {func(r *shipping.BookRequest) { r.Warehouse = "" }, shipping.ErrShipmentInvalid, "/warehouse"},
		"bad address":   {func(r *shipping.BookRequest) { r.To.City = "" }, shipping.ErrAddressInvalid, "/to/city"},
	} {
		req := request(ordinary)
		c.change(&req)
		_, err := b.book(t, req)
		require.ErrorIs(t, err, c.want, name)
		require.Equal(t, c.field, errs.From(err).Fields[0].Pointer, name)
		require.Empty(t, b.shipments(t, req.OrderID), name)
	}
}

func TestBookToARefusedAddressFailsForGood(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.Refuses)
	for range 2 {
		_, err := b.book(t, req)
		require.ErrorIs(t, err, shipping.ErrAddressRefused)
		require.Equal(t, errs.Declined, errs.From(err).Kind)
	}
	sh := b.only(t, req)
	require.Equal(t, shipment.Cancelled, sh.State)
	require.Equal(t, "address_refused", sh.Refusal.Code)
	require.Equal(t, []string{shipping.EventRefused.Type}, b.events(t, req.OrderID))
	require.EqualValues(t, 1, b.line.submits.Load())
	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)), "undoing what never was is harmless")
	_, err := b.book(t, req)
	require.ErrorIs(t, err, shipping.ErrAddressRefused, "also after the undo")
}

func TestBookWhileTheCarrierIsDownCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.DownTwice)
	for range 2 {
		_, err := b.book(t, req)
		require.ErrorIs(t, err, shipping.ErrCarrierUnavailable)
		require.Equal(t, shipment.Booking, b.only(t, req).State)
		require.Zero(t, b.live(t, req.OrderID))
	}
	_, err := b.book(t, req)
	require.NoError(t, err)
	require.Equal(t, 1, b.live(t, req.OrderID))
}

func TestBookWhoseAnswerWasLostIsLookedUp(t *testing.T) {
	t.Parallel()
	b, req := setup(t, impatient), request(sandbox.AnswerLost)
	_, err := b.book(t, req)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.line.submits.Load(), "looked up, not tried again")
	require.Equal(t, 1, b.live(t, req.OrderID))
}

// The carrier's own books may lag behind: that it does not know the key yet does not mean that it never will.
func TestBookWaitsForALateAnswerBeforeItSubmitsAgain(t *testing.T) {
	t.Parallel()
	b, req := setup(t, impatient), request(ordinary)
	var late sync.WaitGroup
	defer late.Wait()
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		if b.line.submits.Load() == 1 {
			late.Go(func() { // The request is on its way for as long as a request can be.
				<-ctx.Done()
				_, _ = next(context.WithoutCancel(ctx))
			})
			<-ctx.Done()
			return "", ctx.Err()
		}
		return next(ctx)
	}
	_, err := b.book(t, req)
	require.NoError(t, err)
	require.Equal(t, 1, b.live(t, req.OrderID))
	require.EqualValues(t, 1, b.line.submits.Load())
}

func TestBookGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	crash := func(when string) func(context.Context, func(context.Context) (string, error)) (string, error) {
		return func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
			if when == "after" {
				_, _ = next(ctx)
			}
			panic("crash")
		}
	}
	for _, when := range []string{"before", "after"} {
		t.Run(when+" the carrier got the request", func(t *testing.T) {
			t.Parallel()
			b, req := setup(t, impatient), request(ordinary)
			b.line.submit = crash(when)
			require.Panics(t, func() { _, _ = b.book(t, req) })
			b.line.submit = nil
			_, err := b.book(t, req)
			require.NoError(t, err)
			require.Equal(t, 1, b.live(t, req.OrderID))
		})
	}
}

func TestBookReportsEachLookAtASlowCarrier(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.Slow)
	var seen []shipment.Checkpoint
	_, err := b.Book(t.Context(), req, shipment.Progress{Report: func(c shipment.Checkpoint) { seen = append(seen, c) }})
	require.NoError(t, err)
	require.Greater(t, len(seen), 5)
	require.Equal(t, shipment.Checkpoint{Stage: shipment.Submitting}, seen[0])
	last := seen[len(seen)-1]
	require.Equal(t, shipment.Confirmed, last.Stage)
	landed := slices.IndexFunc(seen, func(c shipment.Checkpoint) bool { return c.Ticket != "" })
	for _, c := range seen[landed:] {
		require.Equal(t, last.Ticket, c.Ticket)
	}
}

// Each of the calls lasts until there were signs of life since it began, or it runs out of time.
func TestBookGivesSignsOfLifeWhileACallOfTheCarrierLasts(t *testing.T) {
	t.Parallel()
	signs := make(chan shipment.Checkpoint, 10_000)
	hang := func(ctx context.Context) error {
		for len(signs) > 0 {
			<-signs
		}
		for range 3 {
			select {
			case <-signs:
			case <-ctx.Done():
				return shipping.ErrOutcomeUnknown.WithCause(ctx.Err())
			}
		}
		return nil
	}
	for name, c := range map[string]struct {
		hangIn func(b bundle)
		want   error
	}{
		"submit": {func(b bundle) {
			b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
				if err := hang(ctx); err != nil {
					return "", err
				}
				return next(ctx)
			}
		}, nil},
		"find": {func(b bundle) {
			b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
				_, err := next(ctx)
				return "", errors.Join(shipping.ErrOutcomeUnknown, err)
			}
			b.line.find = func(ctx context.Context, next func() (string, bool, error)) (string, bool, error) {
				if err := hang(ctx); err != nil {
					return "", false, err
				}
				return next()
			}
		}, nil},
		"status": {func(b bundle) {
			b.line.status = func(ctx context.Context, next func() (shipment.Status, error)) (shipment.Status, error) {
				if err := hang(ctx); err != nil {
					return shipment.Status{}, err
				}
				return next()
			}
		}, nil},
		"cancel": {func(b bundle) {
			b.line.status = func(ctx context.Context, _ func() (shipment.Status, error)) (shipment.Status, error) {
				_, err := b.pool.Exec(ctx, `update shipments set cancelling = true`)
				return shipment.Status{Stage: shipment.Pending}, err
			}
			b.line.cancel = func(ctx context.Context, next func() error) error {
				if err := hang(ctx); err != nil {
					return err
				}
				return next()
			}
		}, shipping.ErrCancelled},
	} {
		b, req := setup(t), request(ordinary)
		c.hangIn(b)
		_, err := b.Book(t.Context(), req, shipment.Progress{Report: func(c shipment.Checkpoint) { signs <- c }})
		require.ErrorIs(t, err, c.want, name)
	}
}

func TestSignsOfLifeKeepTheTicketOfAnEarlierAttempt(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	var ticket string
	var seen []shipment.Checkpoint
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		var err error
		ticket, err = next(ctx)
		require.NoError(t, err)
		panic("crash")
	}
	require.Panics(t, func() { _, _ = b.book(t, req) })
	signs := make(chan struct{}, 10_000)
	b.line.status = func(ctx context.Context, next func() (shipment.Status, error)) (shipment.Status, error) {
		select {
		case <-signs:
			return next()
		case <-ctx.Done():
			return shipment.Status{}, shipping.ErrOutcomeUnknown
		}
	}
	_, err := b.Book(t.Context(), req, shipment.Progress{
		Resume: shipment.Checkpoint{Ticket: ticket, Stage: shipment.Pending},
		Report: func(c shipment.Checkpoint) {
			seen = append(seen, c)
			signs <- struct{}{}
		},
	})
	require.NoError(t, err)
	for _, c := range seen {
		require.Equal(t, ticket, c.Ticket)
	}
}

func TestBookStopsPromptlyWithTheProcessAndIsResumed(t *testing.T) {
	t.Parallel()
	b, req := setup(t, func(s *settings) { s.slow = time.Second }), request(sandbox.Slow)
	stop := make(chan struct{})
	var last shipment.Checkpoint
	var once sync.Once
	_, err := b.Book(t.Context(), req, shipment.Progress{Stop: stop, Report: func(c shipment.Checkpoint) {
		if last = c; c.Ticket != "" {
			once.Do(func() { close(stop) })
		}
	}})
	require.ErrorIs(t, err, shipping.ErrOutcomeUnknown)
	require.True(t, errs.From(err).Kind.Retryable())
	require.NotEmpty(t, last.Ticket)
	require.Equal(t, shipment.Booking, b.only(t, req).State)

	_, err = b.Book(t.Context(), req, shipment.Progress{Resume: last})
	require.NoError(t, err)
	require.EqualValues(t, 1, b.line.submits.Load())
}

func TestBookThatIsCancelledLeavesEverythingAsItIs(t *testing.T) {
	t.Parallel()
	b, req := setup(t, func(s *settings) { s.slow = time.Hour }), request(sandbox.Slow)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.Book(ctx, req, shipment.Progress{Report: func(c shipment.Checkpoint) {
		if c.Ticket != "" {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, shipment.Booking, b.only(t, req).State)
	require.Equal(t, 1, b.live(t, req.OrderID))

	require.NoError(t, b.Cancel(t.Context(), cancelOf(req)))
	require.Equal(t, shipment.Cancelled, b.only(t, req).State)
	require.Zero(t, b.live(t, req.OrderID))
}

func TestBookKnowsTheTicketFromTheCheckpointAlone(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(ordinary)
	ticket := ""
	// The database is gone when the ticket is to be written down.
	b.line.submit = func(ctx context.Context, next func(context.Context) (string, error)) (string, error) {
		var err error
		ticket, err = next(ctx)
		require.NoError(t, err)
		panic("crash")
	}
	require.Panics(t, func() { _, _ = b.book(t, req) })
	b.line.submit = nil
	_, err := b.Book(t.Context(), req, shipment.Progress{Resume: shipment.Checkpoint{Ticket: ticket}})
	require.NoError(t, err)
	require.EqualValues(t, 1, b.line.submits.Load())
}

func TestTwentyBooksOfOneFulfilmentMakeOneBooking(t *testing.T) {
	t.Parallel()
	b, req := setup(t), request(sandbox.Slow)
	var group sync.WaitGroup
	bookings := make([]shipping.Booking, 20)
	failures := make([]error, len(bookings))
	for i := range bookings {
		group.Go(func() { bookings[i], failures[i] = b.Book(t.Context(), req, shipment.Progress{}) })
	}
	group.Wait()
	for i := range bookings {
		require.NoError(t, failures[i])
		require.Equal(t, bookings[0], bookings[i])
	}
	require.EqualValues(t, 1, b.line.submits.Load())
	list, err := b.books.Bookings(t.Context(), req.OrderID)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, []string{shipping.EventBooked.Type}, b.events(t, req.OrderID))
}
