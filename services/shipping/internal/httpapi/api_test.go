package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/services/shipping/client"
	"github.com/orderflow/orderflow/services/shipping/internal/carrier/sandbox"
)

const ordinary = "10115"

func TestQuoteIsAPureQuestion(t *testing.T) {
	t.Parallel()
	b, req := setup(t, patient), bookingTo(ordinary)
	res, err := b.CreateQuoteWithResponse(t.Context(),
		client.QuoteRequest{Warehouse: req.Warehouse, To: req.To, Items: req.Items})
	require.NoError(t, err)
	require.Equal(t, &client.Quote{
		Carrier: "sandbox", Service: "standard", Price: client.Money{Amount: 510, Currency: "EUR"},
	}, res.JSON200)
	require.Zero(t, b.stored(t))

	req.To.PostalCode = sandbox.Refuses
	res, err = b.CreateQuoteWithResponse(t.Context(),
		client.QuoteRequest{Warehouse: req.Warehouse, To: req.To, Items: req.Items})
	require.NoError(t, err)
	require.Equal(t, http.StatusPaymentRequired, res.StatusCode())
	require.Equal(t, "address_refused", res.ApplicationProblemJSONDefault.Code)
}

func TestBookThenReadThenCancel(t *testing.T) {
	t.Parallel()
	b, req := setup(t, patient), bookingTo(ordinary)
	booked := b.book(t, req)
	require.Equal(t, http.StatusCreated, booked.StatusCode())
	sh := booked.JSON201
	require.Equal(t, "/v1/shipments/"+sh.ID, booked.HTTPResponse.Header.Get("Location"))
	require.Equal(t, client.StateBooked, sh.State)
	require.Equal(t, req.To, *sh.To)

	got, err := b.GetShipmentWithResponse(t.Context(), sh.ID)
	require.NoError(t, err)
	require.Equal(t, sh, got.JSON200)

	for range 2 {
		cancelled := b.cancel(t, sh.ID)
		require.Equal(t, http.StatusOK, cancelled.StatusCode())
		require.Equal(t, client.StateCancelled, cancelled.JSON200.State)
	}
	books, err := b.ListSandboxBookingsWithResponse(t.Context(), &client.ListSandboxBookingsParams{OrderID: req.OrderID})
	require.NoError(t, err)
	require.Len(t, books.JSON200.Items, 1)
	require.False(t, books.JSON200.Items[0].Live)
	require.Equal(t, http.StatusConflict, b.book(t, req).StatusCode(), "it was called off")
}

func TestAllButQuotesIsForOperatorsOnly(t *testing.T) {
	t.Parallel()
	b, other := setup(t, patient), withScopes("orders:read")
	known := b.book(t, bookingTo(ordinary)).JSON201.ID
	before := b.stored(t)
	statuses := map[string]int{}
	record := func(operation string, res interface{ StatusCode() int }, err error) {
		require.NoError(t, err)
		statuses[operation] = res.StatusCode()
	}
	key := uuid.NewString()
	booked, err := b.BookShipmentWithResponse(t.Context(), &client.BookShipmentParams{IdempotencyKey: key},
		bookingTo(ordinary), other)
	record("book", booked, err)
	cancelled, err := b.CancelShipmentWithResponse(t.Context(), known,
		&client.CancelShipmentParams{IdempotencyKey: key}, other)
	record("cancel", cancelled, err)
	list, err := b.ListShipmentsWithResponse(t.Context(), &client.ListShipmentsParams{}, other)
	record("list", list, err)
	got, err := b.GetShipmentWithResponse(t.Context(), known, other)
	record("get", got, err)
	unknown, err := b.GetShipmentWithResponse(t.Context(), "shp_x", other)
	record("get unknown", unknown, err)
	outage, err := b.GetOutageWithResponse(t.Context(), other)
	record("outage", outage, err)
	set, err := b.SetOutageWithResponse(t.Context(), client.Outage{Cancel: false}, other)
	record("set outage", set, err)
	books, err := b.ListSandboxBookingsWithResponse(t.Context(),
		&client.ListSandboxBookingsParams{OrderID: "ord_1"}, other)
	record("sandbox", books, err)
	req := bookingTo(ordinary)
	quote, err := b.CreateQuoteWithResponse(t.Context(),
		client.QuoteRequest{Warehouse: req.Warehouse, To: req.To, Items: req.Items}, other)
	record("quote", quote, err)

	require.Equal(t, map[string]int{
		"book": 403, "cancel": 403, "list": 403, "get": 403, "get unknown": 403,
		"outage": 403, "set outage": 403, "sandbox": 403, "quote": 200,
	}, statuses)
	require.Equal(t, before, b.stored(t))
}

func TestSlowBookingIsAccepted(t *testing.T) {
	t.Parallel()
	b, req := setup(t, time.Second), bookingTo(sandbox.Slow)
	params := &client.BookShipmentParams{IdempotencyKey: uuid.NewString()}
	first, err := b.BookShipmentWithResponse(t.Context(), params, req)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, first.StatusCode())
	require.Equal(t, client.StateBooking, first.JSON202.State)

	_, err = b.pool.Exec(t.Context(), `update sandbox.bookings set ready_at = created_at`)
	require.NoError(t, err)
	second, err := b.BookShipmentWithResponse(t.Context(), params, req)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, second.StatusCode())
	require.Equal(t, first.JSON202.ID, second.JSON201.ID)

	other := req
	other.Warehouse = "hamburg"
	reused, err := b.BookShipmentWithResponse(t.Context(), params, other)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, reused.StatusCode())
	require.Equal(t, "idempotency_key_reused", reused.ApplicationProblemJSONDefault.Code)
	mismatch := b.book(t, other)
	require.Equal(t, http.StatusConflict, mismatch.StatusCode())
	require.Equal(t, "shipment_mismatch", mismatch.ApplicationProblemJSONDefault.Code)
}

func TestRefusalIsShown(t *testing.T) {
	t.Parallel()
	b, req := setup(t, patient), bookingTo(sandbox.Refuses)
	res := b.book(t, req)
	require.Equal(t, http.StatusPaymentRequired, res.StatusCode())
	require.Equal(t, "address_refused", res.ApplicationProblemJSONDefault.Code)
	list, err := b.ListShipmentsWithResponse(t.Context(), &client.ListShipmentsParams{OrderID: &req.OrderID})
	require.NoError(t, err)
	require.Equal(t, client.StateCancelled, list.JSON200.Items[0].State)
	require.Equal(t, "address_refused", list.JSON200.Items[0].Refusal.Code)
}

func TestCancelOfADispatchedShipmentIsAConflict(t *testing.T) {
	t.Parallel()
	b := setup(t, patient)
	shipmentID := b.book(t, bookingTo(sandbox.FetchedAtOnce)).JSON201.ID
	res := b.cancel(t, shipmentID)
	require.Equal(t, http.StatusConflict, res.StatusCode())
	require.Equal(t, "shipment_dispatched", res.ApplicationProblemJSONDefault.Code)
	got, err := b.GetShipmentWithResponse(t.Context(), shipmentID)
	require.NoError(t, err)
	require.Equal(t, client.StateDispatched, got.JSON200.State)
}

func TestOutageDelaysACancellation(t *testing.T) {
	t.Parallel()
	b := setup(t, patient)
	shipmentID := b.book(t, bookingTo(sandbox.CancelDown)).JSON201.ID
	outage, err := b.GetOutageWithResponse(t.Context())
	require.NoError(t, err)
	require.True(t, outage.JSON200.Cancel)
	res := b.cancel(t, shipmentID)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode())
	require.NotEmpty(t, res.HTTPResponse.Header.Get("Retry-After"))
	_, err = b.SetOutageWithResponse(t.Context(), client.Outage{Cancel: false})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, b.cancel(t, shipmentID).StatusCode())
}

func TestListPagesNewestFirstAndFilters(t *testing.T) {
	t.Parallel()
	b := setup(t, patient)
	var want []string
	for range 5 {
		want = append([]string{b.book(t, bookingTo(ordinary)).JSON201.ID}, want...)
	}
	limit := 2
	params := &client.ListShipmentsParams{Limit: &limit}
	var got []string
	for pages := 0; ; pages++ {
		require.Less(t, pages, 4)
		res, err := b.ListShipmentsWithResponse(t.Context(), params)
		require.NoError(t, err)
		for _, sh := range res.JSON200.Items {
			got = append(got, sh.ID)
		}
		if params.Cursor = res.JSON200.NextCursor; params.Cursor == nil {
			break
		}
	}
	require.Equal(t, want, got)

	b.cancel(t, want[0])
	for state, count := range map[client.State]int{client.StateCancelled: 1, client.StateBooked: 4, client.StateLost: 0} {
		res, err := b.ListShipmentsWithResponse(t.Context(), &client.ListShipmentsParams{State: &state})
		require.NoError(t, err)
		require.Len(t, res.JSON200.Items, count, state)
	}
	one, err := b.GetShipmentWithResponse(t.Context(), want[0])
	require.NoError(t, err)
	for state, count := range map[client.State]int{client.StateCancelled: 1, client.StateBooked: 0} {
		res, err := b.ListShipmentsWithResponse(t.Context(),
			&client.ListShipmentsParams{OrderID: &one.JSON200.OrderID, State: &state})
		require.NoError(t, err)
		require.Len(t, res.JSON200.Items, count, state)
	}
}
