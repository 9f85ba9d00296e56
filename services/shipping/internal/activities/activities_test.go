package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/activities"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
	"github.com/orderflow/orderflow/services/shipping/internal/store"
)

type bundle struct {
	env   *testsuite.TestActivityEnvironment
	books *sandbox.Carrier
}

func setup(t *testing.T, slow time.Duration) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations, sandbox.Schema)
	books := sandbox.New(pool, slow)
	timing := shipment.Timing{Call: time.Second, Poll: 10 * time.Millisecond, ByHand: time.Second}
	guard := carrier.NewGuard(books, timing.Call, prometheus.NewRegistry())
	svc := shipment.New(pool, guard, timing, func() {}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	env := suite.NewTestActivityEnvironment()
	activities.Register(env, svc)
	return bundle{env: env, books: books}
}

func request(postalCode string) shipping.BookRequest {
	return shipping.BookRequest{
		OrderID: id.New(id.Order), FulfilmentID: "1", Warehouse: "berlin",
		Items: []shipping.Item{{SKU: "TEA-1", Quantity: 2}},
		To: shipping.Address{
			Name: "Ada Lovelace", Line1: "Invalidenstr. 1", City: "Berlin", PostalCode: postalCode, Country: "DE",
		},
	}
}

func (b bundle) book(t *testing.T, req shipping.BookRequest) (shipping.Booking, error) {
	t.Helper()
	var booking shipping.Booking
	value, err := b.env.ExecuteActivity(shipping.Book.Name, req)
	if err != nil {
		return booking, err
	}
	return booking, value.Get(&booking)
}

func (b bundle) bookings(t *testing.T, req shipping.BookRequest) []sandbox.Booking {
	t.Helper()
	list, err := b.books.Bookings(context.WithoutCancel(t.Context()), req.OrderID)
	require.NoError(t, err)
	return list
}

func TestBookAndCancelByTheNamesOfTheContract(t *testing.T) {
	t.Parallel()
	b, req := setup(t, 0), request("10115")
	booking, err := b.book(t, req)
	require.NoError(t, err)
	require.Equal(t, b.bookings(t, req)[0].TrackingNumber, booking.TrackingNumber)

	_, err = b.env.ExecuteActivity(shipping.Cancel.Name,
		shipping.CancelRequest{OrderID: req.OrderID, FulfilmentIDs: []string{"1"}})
	require.NoError(t, err)
	require.False(t, b.bookings(t, req)[0].Live())
}

func TestFailuresKeepTheirCodeAndSayWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		want  string
		final bool
	}{
		sandbox.Refuses: {shipping.ErrAddressRefused.Code, true},
		sandbox.Down:    {shipping.ErrCarrierUnavailable.Code, false},
		"nonsense":      {shipping.ErrAddressInvalid.Code, true},
	} {
		b := setup(t, 0)
		_, err := b.book(t, request(code))
		app, ok := errors.AsType[*temporal.ApplicationError](err)
		require.True(t, ok, code)
		require.Equal(t, c.want, app.Type())
		require.Equal(t, c.final, app.NonRetryable(), code)
	}
}

func TestRetryResumesFromTheLastHeartbeat(t *testing.T) {
	t.Parallel()
	b, req := setup(t, 300*time.Millisecond), request(sandbox.Slow)
	// The attempt before got a ticket and died before it could write it down.
	ticket, err := b.books.Submit(t.Context(), req.OrderID+"/1/book", shipment.Parcel{
		OrderID: req.OrderID, FulfilmentID: "1", Warehouse: req.Warehouse, Items: req.Items, To: req.To,
	})
	require.NoError(t, err)
	b.env.SetHeartbeatDetails(shipment.Checkpoint{Ticket: ticket, Stage: shipment.Pending})
	booking, err := b.book(t, req)
	require.NoError(t, err)
	list := b.bookings(t, req)
	require.Len(t, list, 1)
	require.Equal(t, ticket, list[0].Ticket)
	require.Equal(t, list[0].TrackingNumber, booking.TrackingNumber)
}

func TestHeartbeatOfAnotherVersionIsIgnored(t *testing.T) {
	t.Parallel()
	b, req := setup(t, 0), request("10115")
	b.env.SetHeartbeatDetails("what a later version may have written")
	_, err := b.book(t, req)
	require.NoError(t, err)
}

// The SDK saves heartbeats up, but the last one of an attempt that fails is always sent. That each look at the carrier
// gives one is a test of package shipment.
func TestStoppingWorkerHandsTheBookingOn(t *testing.T) {
	t.Parallel()
	b, req := setup(t, time.Hour), request(sandbox.Slow)
	stop := make(chan struct{})
	close(stop)
	b.env.SetWorkerStopChannel(stop)
	var mu sync.Mutex
	var last shipment.Checkpoint
	b.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		_ = details.Get(&last)
	})
	_, err := b.book(t, req)
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok)
	require.False(t, app.NonRetryable())
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, shipment.Checkpoint{Ticket: b.bookings(t, req)[0].Ticket, Stage: shipment.Pending}, last)
}

func TestCancelledActivityStopsAndReportsIt(t *testing.T) {
	t.Parallel()
	b, req := setup(t, time.Hour), request(sandbox.Slow)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	b.env.SetTestTimeout(10 * time.Second)
	b.env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { cancel() })
	b.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	_, err := b.book(t, req)
	// Only the server knows that a cancellation was asked for; without one the SDK does not call it that.
	require.ErrorContains(t, err, context.Canceled.Error())
}
