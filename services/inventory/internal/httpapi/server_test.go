package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/client"
)

func TestImportedStockIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, err := b.ImportStockWithBodyWithResponse(t.Context(), nil, "text/csv; charset=utf-8",
		strings.NewReader("sku,warehouse,on_hand\r\nMUG,BER,5\r\nMUG,MUC,7\r\nPEN,BER,1\r\n"))
	require.NoError(t, err)
	require.Equal(t, &client.ImportResult{Imported: 3, Created: 3}, res.JSON200)
	b.put("MUG BER 6", "MUG MUC 7")
	_, err = b.svc.Reserve(t.Context(), inventory.ReserveRequest{
		OrderID: id.New(id.Order), Lines: []inventory.Line{{SKU: "MUG", Quantity: 10}},
	})
	require.NoError(t, err)

	article, err := b.GetStockWithResponse(t.Context(), "MUG")
	require.NoError(t, err)
	require.NotNil(t, article.JSON200, "%s", article.Body)
	require.Equal(t, [3]int64{13, 10, 3},
		[3]int64{article.JSON200.OnHand, article.JSON200.Reserved, article.JSON200.Available})
	require.Len(t, article.JSON200.Warehouses, 2)
	muc := article.JSON200.Warehouses[1]
	require.Equal(t, [3]int64{7, 7, 0}, [3]int64{muc.OnHand, muc.Reserved, muc.Available})

	missing, err := b.GetStockWithResponse(t.Context(), "NIL")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, missing.StatusCode())
	require.Equal(t, "unknown_sku", missing.ApplicationProblemJSONDefault.Code)
}

func TestStockIsListedPageByPageInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := []string{"A BER 1", "A HAM 1", "A MUC 1", "B BER 1", "B MUC 1", "C HAM 1"}
	b.put(rows...)
	str := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		params client.ListStockParams
		want   []string
	}{
		"all":          {client.ListStockParams{}, rows},
		"of a SKU":     {client.ListStockParams{SKU: str("A")}, rows[:3]},
		"in one place": {client.ListStockParams{Warehouse: str("BER")}, []string{"A BER 1", "B BER 1"}},
		"one":          {client.ListStockParams{SKU: str("B"), Warehouse: str("MUC")}, rows[4:5]},
		"none":         {client.ListStockParams{SKU: str("B"), Warehouse: str("HAM")}, nil},
	} {
		var got []string
		for page := 0; ; page++ {
			two := 2
			c.params.Limit = &two
			res, err := b.ListStockWithResponse(t.Context(), &c.params)
			require.NoError(t, err)
			require.NotNil(t, res.JSON200, "%s: %s", name, res.Body)
			require.LessOrEqual(t, len(res.JSON200.Items), 2)
			for _, i := range res.JSON200.Items {
				got = append(got, fmt.Sprintf("%s %s %d", i.SKU, i.Warehouse, i.OnHand))
			}
			if res.JSON200.NextCursor == nil {
				require.Equal(t, max(0, len(c.want)-1)/2, page, "%s: no page is empty but the only one", name)
				break
			}
			c.params.Cursor = res.JSON200.NextCursor
		}
		require.Equal(t, c.want, got, name)
	}
}

func TestReservationsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 100")
	var orders []string
	for i := range 5 {
		order := id.New(id.Order)
		orders = append([]string{order}, orders...)
		_, err := b.svc.Reserve(t.Context(), inventory.ReserveRequest{
			OrderID: order, Lines: []inventory.Line{{SKU: "MUG", Quantity: int64(i + 1)}},
		})
		require.NoError(t, err)
	}
	_, err := b.svc.Commit(t.Context(), inventory.CommitRequest{OrderID: orders[1]})
	require.NoError(t, err)
	_, err = b.svc.Release(t.Context(), inventory.ReleaseRequest{OrderID: "ord_never"})
	require.NoError(t, err)

	list := func(p client.ListReservationsParams) (found []client.Reservation) {
		for {
			res, err := b.ListReservationsWithResponse(t.Context(), &p)
			require.NoError(t, err)
			require.NotNil(t, res.JSON200, "%s", res.Body)
			found = append(found, res.JSON200.Items...)
			if p.Cursor = res.JSON200.NextCursor; p.Cursor == nil {
				return found
			}
		}
	}
	ordersOf := func(found []client.Reservation) (ids []string) {
		for _, r := range found {
			ids = append(ids, r.OrderID)
		}
		return ids
	}
	two, held, committed := 2, client.Held, client.Committed
	require.Equal(t, append([]string{"ord_never"}, orders...), ordersOf(list(client.ListReservationsParams{Limit: &two})))
	require.Equal(t, []string{orders[0], orders[2], orders[3], orders[4]},
		ordersOf(list(client.ListReservationsParams{Limit: &two, State: &held})))
	require.Empty(t, list(client.ListReservationsParams{OrderID: &orders[0], State: &committed}))

	found := list(client.ListReservationsParams{OrderID: &orders[0], State: &held})
	require.Len(t, found, 1)
	require.Equal(t, []client.Line{{SKU: "MUG", Quantity: 5}}, found[0].Lines)
	require.Equal(t, []client.Fulfilment{{ID: "1", Warehouse: "BER", Lines: found[0].Lines}}, found[0].Fulfilments)
	require.NotNil(t, found[0].ExpiresAt)

	one, err := b.GetReservationWithResponse(t.Context(), found[0].ID)
	require.NoError(t, err)
	require.Equal(t, &found[0], one.JSON200)
	mark := list(client.ListReservationsParams{})[0]
	require.Equal(t, client.Released, mark.State)
	require.Empty(t, mark.Lines)
	require.Nil(t, mark.ExpiresAt)
}

func TestStockIsSetAndAdjustedWithinItsBounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set, err := b.SetStockWithResponse(t.Context(), "MUG", "BER", nil, client.OnHand{OnHand: 10})
	require.NoError(t, err)
	require.NotNil(t, set.JSON200, "%s", set.Body)
	again, err := b.SetStockWithResponse(t.Context(), "MUG", "BER", nil, client.OnHand{OnHand: 10})
	require.NoError(t, err)
	require.Equal(t, set.JSON200, again.JSON200)
	_, err = b.svc.Reserve(t.Context(), inventory.ReserveRequest{
		OrderID: id.New(id.Order), Lines: []inventory.Line{{SKU: "MUG", Quantity: 4}},
	})
	require.NoError(t, err)

	key := uuid.NewString()
	adjust := func(key string, delta int64) *client.AdjustStockHTTPResponse {
		res, err := b.AdjustStockWithResponse(t.Context(), "MUG", "BER", &client.AdjustStockParams{IdempotencyKey: key},
			client.Adjustment{Delta: delta, Reason: "counted"})
		require.NoError(t, err)
		return res
	}
	first := adjust(key, -6)
	require.NotNil(t, first.JSON200, "%s", first.Body)
	require.Equal(t, [3]int64{4, 4, 0}, [3]int64{first.JSON200.OnHand, first.JSON200.Reserved, first.JSON200.Available})
	require.Equal(t, first.JSON200, adjust(key, -6).JSON200, "the same request has its effect once")
	require.Equal(t, "idempotency_key_reused", adjust(key, -5).ApplicationProblemJSONDefault.Code)

	before := b.stored()
	for delta, want := range map[int64]string{
		-1:             "409 stock_below_reserved",
		-1000000000000: "409 stock_below_reserved",
		1000000000000:  "422 stock_too_large",
		0:              "422 invalid_adjustment",
	} {
		res := adjust(uuid.NewString(), delta)
		require.Equal(t, want, fmt.Sprintf("%d %s", res.StatusCode(), res.ApplicationProblemJSONDefault.Code), delta)
	}
	below, err := b.SetStockWithResponse(t.Context(), "MUG", "BER", nil, client.OnHand{OnHand: 3})
	require.NoError(t, err)
	require.Equal(t, "stock_below_reserved", below.ApplicationProblemJSONDefault.Code)
	require.Equal(t, before, b.stored())

	var events []string
	rows, err := b.pool.Query(t.Context(), `SELECT subject FROM outbox ORDER BY seq`)
	require.NoError(t, err)
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		events = append(events, s)
	}
	require.NoError(t, rows.Err())
	adjusted, held := inventory.EventAdjusted.Type, inventory.EventHeld.Type
	require.Equal(t, []string{adjusted, held, adjusted}, events)
}

func TestWarehousesHavePriorities(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 1", "MUG MUC 1")
	put, err := b.PutWarehouseWithResponse(t.Context(), "MUC", client.WarehousePriority{Priority: 1})
	require.NoError(t, err)
	require.EqualValues(t, 1, put.JSON200.Priority)
	_, err = b.PutWarehouseWithResponse(t.Context(), "NEW", client.WarehousePriority{Priority: 7})
	require.NoError(t, err)

	var got []string
	limit, params := 2, client.ListWarehousesParams{}
	params.Limit = &limit
	for {
		res, err := b.ListWarehousesWithResponse(t.Context(), &params)
		require.NoError(t, err)
		for _, w := range res.JSON200.Items {
			got = append(got, fmt.Sprintf("%s %d", w.Code, w.Priority))
		}
		if params.Cursor = res.JSON200.NextCursor; params.Cursor == nil {
			break
		}
	}
	require.Equal(t, []string{"BER 100", "MUC 1", "NEW 7"}, got)
}

func TestOnlyOperatorsChangeStockAndReadReservations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 1")
	held, err := b.svc.Reserve(t.Context(), inventory.ReserveRequest{
		OrderID: id.New(id.Order), Lines: []inventory.Line{{SKU: "MUG", Quantity: 1}},
	})
	require.NoError(t, err)
	before := b.stored()
	reader := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Orderflow-Scopes", "orders:read")
		return nil
	}
	statuses := map[string]int{}
	record := func(operation string, res interface{ StatusCode() int }, err error) {
		require.NoError(t, err)
		statuses[operation] = res.StatusCode()
	}
	imported, err := b.ImportStockWithBodyWithResponse(t.Context(), nil, "text/csv",
		strings.NewReader("sku,warehouse,on_hand\nA,B,1\n"), reader)
	record("import", imported, err)
	set, err := b.SetStockWithResponse(t.Context(), "MUG", "BER", nil, client.OnHand{OnHand: 10}, reader)
	record("set", set, err)
	adjusted, err := b.AdjustStockWithResponse(t.Context(), "MUG", "BER", &client.AdjustStockParams{IdempotencyKey: "k"},
		client.Adjustment{Delta: 1, Reason: "x"}, reader)
	record("adjust", adjusted, err)
	put, err := b.PutWarehouseWithResponse(t.Context(), "BER", client.WarehousePriority{Priority: 1}, reader)
	record("warehouse", put, err)
	reservations, err := b.ListReservationsWithResponse(t.Context(), &client.ListReservationsParams{}, reader)
	record("reservations", reservations, err)
	reservation, err := b.GetReservationWithResponse(t.Context(), held.ReservationID, reader)
	record("reservation", reservation, err)
	unknown, err := b.GetReservationWithResponse(t.Context(), "rsv_1", reader)
	record("unknown reservation", unknown, err)
	list, err := b.ListStockWithResponse(t.Context(), &client.ListStockParams{}, reader)
	record("list", list, err)
	article, err := b.GetStockWithResponse(t.Context(), "MUG", reader)
	record("article", article, err)
	warehouses, err := b.ListWarehousesWithResponse(t.Context(), &client.ListWarehousesParams{}, reader)
	record("warehouses", warehouses, err)

	require.Equal(t, map[string]int{
		"import": 403, "set": 403, "adjust": 403, "warehouse": 403,
		"reservations": 403, "reservation": 403, "unknown reservation": 403,
		"list": 200, "article": 200, "warehouses": 200,
	}, statuses)
	require.Equal(t, before, b.stored())
}
