package stock_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

func TestReserveHoldsAllLinesAndSaysSo(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 10", "PEN BER 5")

	r, err := b.reserve(order, "PEN 2, MUG 3")
	require.NoError(t, err)
	require.True(t, id.Valid(id.Reservation, r.ReservationID))
	require.Equal(t, "1 BER: PEN 2, MUG 3", showFulfilments(r.Fulfilments))
	require.WithinDuration(t, time.Now().Add(time.Hour), r.ExpiresAt, 5*time.Minute)
	b.requireStock("MUG BER 10 3", "PEN BER 5 2")

	ev := b.requireEvents(inventory.EventHeld.Type)[0]
	require.Equal(t, order, ev.Subject())
	data, err := inventory.EventHeld.Decode(ev)
	require.NoError(t, err)
	require.Equal(t, inventory.ReservationChanged{
		ReservationID: r.ReservationID, OrderID: order, State: "held", Fulfilments: r.Fulfilments,
	}, data)
}

func TestReserveAgainAnswersTheSameAndHoldsNoMore(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 10", "PEN BER 2", "PEN MUC 9")

	first, err := b.reserve(order, "PEN 4, MUG 3")
	require.NoError(t, err)
	again, err := b.reserve(order, "PEN 4, MUG 3")
	require.NoError(t, err)
	require.Equal(t, first, again)
	b.requireStock("MUG BER 10 3", "PEN BER 2 0", "PEN MUC 9 4")

	require.NoError(t, b.commit(order))
	again, err = b.reserve(order, "PEN 4, MUG 3")
	require.NoError(t, err)
	require.Equal(t, first, again, "also when it is committed already")
	b.requireStock("MUG BER 7 0", "PEN BER 2 0", "PEN MUC 5 0")
	b.requireEvents(inventory.EventHeld.Type, inventory.EventCommitted.Type)
}

func TestReserveWithOtherLinesIsRefused(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 10", "PEN BER 5")
	_, err := b.reserve(order, "PEN 2")
	require.NoError(t, err)

	for _, other := range []string{"PEN 3", "MUG 2", "PEN 2, MUG 1"} {
		_, err = b.reserve(order, other)
		require.ErrorIs(t, err, inventory.ErrReservationMismatch)
	}
	b.requireStock("MUG BER 10 0", "PEN BER 5 2")
}

func TestReserveHeedsThePriorityOfWarehouses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 5", "MUG MUC 5")
	_, err := b.PutWarehouse(t.Context(), "MUC", 1)
	require.NoError(t, err)

	r, err := b.reserve(newOrder(), "MUG 3")
	require.NoError(t, err)
	require.Equal(t, "1 MUC: MUG 3", showFulfilments(r.Fulfilments))
	r, err = b.reserve(newOrder(), "MUG 6")
	require.NoError(t, err)
	require.Equal(t, "1 MUC: MUG 1; 2 BER: MUG 5", showFulfilments(r.Fulfilments))
	b.requireStock("MUG BER 5 5", "MUG MUC 5 4")
}

func TestOutOfStockNamesTheShortLinesAndHoldsNothing(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 10", "PEN BER 2", "PEN MUC 1", "CUP BER 0")

	_, err := b.reserve(order, "PEN 4, MUG 3, CUP 1")
	require.ErrorIs(t, err, inventory.ErrOutOfStock)
	require.Equal(t, []errs.Field{
		{Pointer: "/lines/0", Code: "out_of_stock", Message: "3 of 4 pieces are available."},
		{Pointer: "/lines/2", Code: "out_of_stock", Message: "0 of 1 pieces are available."},
	}, errs.From(err).Fields)
	b.requireStock("CUP BER 0 0", "MUG BER 10 0", "PEN BER 2 0", "PEN MUC 1 0")
	require.Empty(t, b.state(order))
	b.requireEvents()
}

func TestAnUnknownSKUIsNoShortage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 1")

	_, err := b.reserve(newOrder(), "MUG 9, NIL 1")
	require.ErrorIs(t, err, inventory.ErrUnknownSKU)
	require.Equal(t, "/lines/1/sku", errs.From(err).Fields[0].Pointer)
	require.Len(t, errs.From(err).Fields, 1)
}

func TestReserveAfterReleaseIsRefused(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 10")

	require.NoError(t, b.release(order), "before anything was reserved")
	_, err := b.reserve(order, "MUG 1")
	require.ErrorIs(t, err, inventory.ErrReleased)
	require.NoError(t, b.release(order), "and again")
	require.ErrorIs(t, b.commit(order), inventory.ErrReleased)

	b.requireStock("MUG BER 10 0")
	b.requireEvents()
}

func TestReserveAfterExpiryIsMadeAnew(t *testing.T) {
	t.Parallel()
	b, order := setup(t), newOrder()
	b.put("MUG BER 4", "MUG MUC 9")
	first, err := b.reserve(order, "MUG 4")
	require.NoError(t, err)
	b.expire(order)
	_, err = b.reserve(newOrder(), "MUG 1")
	require.NoError(t, err)

	again, err := b.reserve(order, "MUG 4")
	require.NoError(t, err)
	require.Equal(t, first.ReservationID, again.ReservationID)
	require.Equal(t, "1 BER: MUG 4", showFulfilments(first.Fulfilments))
	require.Equal(t, "1 MUC: MUG 4", showFulfilments(again.Fulfilments))
	require.True(t, again.ExpiresAt.After(time.Now()))
	b.requireStock("MUG BER 4 1", "MUG MUC 9 4")
	b.requireInvariant()

	b.expire(order)
	b.put("MUG BER 1", "MUG MUC 0")
	_, err = b.reserve(order, "MUG 4")
	require.ErrorIs(t, err, inventory.ErrOutOfStock)
	require.Equal(t, stock.Expired, b.state(order), "it stays what it was")
	b.requireInvariant()
}

func TestReserveRefusesLinesThatBreakARule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order, long := newOrder(), strings.Repeat("x", 65)
	line := func(sku string, quantity int64) []inventory.Line {
		return []inventory.Line{{SKU: sku, Quantity: quantity}}
	}
	many := make([]inventory.Line, stock.MaxLines+1)
	cases := map[string]struct {
		order   string
		lines   []inventory.Line
		pointer string
	}{
		"no order":           {"", line("A", 1), "/order_id"},
		"long order":         {strings.Repeat("o", 101), line("A", 1), "/order_id"},
		"NUL in order":       {"ord\x00", line("A", 1), "/order_id"},
		"bad UTF-8":          {"ord\xff", line("A", 1), "/order_id"},
		"no lines":           {order, nil, "/lines"},
		"too many lines":     {order, many, "/lines"},
		"no SKU":             {order, line("", 1), "/lines/0/sku"},
		"bad SKU":            {order, line("A B", 1), "/lines/0/sku"},
		"long SKU":           {order, line(long, 1), "/lines/0/sku"},
		"zero":               {order, line("A", 0), "/lines/0/quantity"},
		"negative":           {order, line("A", -1), "/lines/0/quantity"},
		"too many pieces":    {order, line("A", stock.MaxQuantity+1), "/lines/0/quantity"},
		"the same SKU twice": {order, append(line("A", 1), line("A", 2)...), "/lines/1/sku"},
	}
	for name, c := range cases {
		_, err := b.Reserve(t.Context(), inventory.ReserveRequest{OrderID: c.order, Lines: c.lines})
		require.ErrorIs(t, err, inventory.ErrInvalidReservation, name)
		require.Equal(t, c.pointer, errs.From(err).Fields[0].Pointer, name)
	}
	for _, order := range []string{"", "ord\x00", strings.Repeat("o", 101)} {
		require.ErrorIs(t, b.commit(order), inventory.ErrInvalidReservation)
		require.ErrorIs(t, b.release(order), inventory.ErrInvalidReservation)
	}
}
