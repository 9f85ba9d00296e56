package stock_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// bundle is a service on a database of its own.
type bundle struct {
	*stock.Service
	t    *testing.T
	pool *pgxpool.Pool
}

func setup(t *testing.T) bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, idempotency.Schema, store.Migrations)
	return bundle{stock.New(pool, time.Hour, func() {}, prometheus.NewRegistry()), t, pool}
}

// put sets what is on hand, each as "SKU WAREHOUSE QUANTITY". It leaves no event behind.
func (b bundle) put(rows ...string) {
	b.t.Helper()
	_, err := b.Import(b.t.Context(), csvOf(rows...))
	require.NoError(b.t, err)
	b.events()
}

func csvOf(rows ...string) *strings.Reader {
	var s strings.Builder
	s.WriteString("sku,warehouse,on_hand\n")
	for _, r := range rows {
		s.WriteString(strings.ReplaceAll(r, " ", ",") + "\n")
	}
	return strings.NewReader(s.String())
}

// requireStock compares with what is stored, as "SKU WAREHOUSE ON_HAND RESERVED".
func (b bundle) requireStock(want ...string) {
	b.t.Helper()
	items, err := b.List(b.t.Context(), stock.Filter{}, stock.Item{}, 100)
	require.NoError(b.t, err)
	got := make([]string, len(items))
	for i, item := range items {
		got[i] = fmt.Sprintf("%s %s %d %d", item.SKU, item.Warehouse, item.OnHand, item.Reserved)
	}
	require.Equal(b.t, want, got)
}

// events takes what waits in the outbox.
func (b bundle) events() []cloudevents.Event {
	b.t.Helper()
	rows, err := b.pool.Query(b.t.Context(), `WITH taken AS (DELETE FROM outbox RETURNING seq, payload)
		SELECT payload FROM taken ORDER BY seq`)
	require.NoError(b.t, err)
	defer rows.Close()
	var events []cloudevents.Event
	for rows.Next() {
		var payload []byte
		require.NoError(b.t, rows.Scan(&payload))
		var ev cloudevents.Event
		require.NoError(b.t, ev.UnmarshalJSON(payload))
		events = append(events, ev)
	}
	require.NoError(b.t, rows.Err())
	return events
}

// requireEvents takes what waits in the outbox and compares the types.
func (b bundle) requireEvents(want ...string) []cloudevents.Event {
	b.t.Helper()
	events := b.events()
	var got []string
	for _, ev := range events {
		got = append(got, ev.Type())
	}
	require.Equal(b.t, want, got)
	return events
}

// requireInvariant: what is reserved is the sum of what is held, everywhere.
func (b bundle) requireInvariant() {
	b.t.Helper()
	var wrong int
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), `
		SELECT count(*) FROM stock s FULL JOIN (
			SELECT l.sku, l.warehouse, sum(l.quantity) AS held
			FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id AND r.state = 'held'
			GROUP BY l.sku, l.warehouse
		) h ON h.sku = s.sku AND h.warehouse = s.warehouse
		WHERE coalesce(s.reserved, 0) <> coalesce(h.held, 0)`).Scan(&wrong))
	require.Zero(b.t, wrong, "rows of stock whose reserved pieces are not those that are held")
}

func (b bundle) reserve(order, lines string) (inventory.Reservation, error) {
	return b.Reserve(b.t.Context(), inventory.ReserveRequest{OrderID: order, Lines: parseLines(lines)})
}

func (b bundle) commit(order string) error {
	_, err := b.Commit(b.t.Context(), inventory.CommitRequest{OrderID: order})
	return err
}

func (b bundle) release(order string) error {
	_, err := b.Release(b.t.Context(), inventory.ReleaseRequest{OrderID: order})
	return err
}

// expire lets the time of an order's hold pass and gives it back.
func (b bundle) expire(order string) {
	b.t.Helper()
	b.pass(order)
	n, err := b.Expire(b.t.Context())
	require.NoError(b.t, err)
	require.Equal(b.t, 1, n)
}

func (b bundle) pass(order string) {
	b.t.Helper()
	tag, err := b.pool.Exec(b.t.Context(),
		`UPDATE reservations SET expires_at = now() - interval '1 second' WHERE order_id = $1`, order)
	require.NoError(b.t, err)
	require.EqualValues(b.t, 1, tag.RowsAffected())
}

func (b bundle) state(order string) stock.State {
	b.t.Helper()
	found, err := b.Reservations(b.t.Context(), stock.ReservationFilter{OrderID: order}, nil, 1)
	require.NoError(b.t, err)
	if len(found) == 0 {
		return ""
	}
	return found[0].State
}

func newOrder() string { return id.New(id.Order) }

// parseLines reads "A 2, B 1".
func parseLines(s string) []inventory.Line {
	var lines []inventory.Line
	for part := range strings.SplitSeq(s, ", ") {
		var l inventory.Line
		if _, err := fmt.Sscan(part, &l.SKU, &l.Quantity); err != nil {
			panic(err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestQuantityThatIsSetAgainByTheSameRequestBringsNoSoldPiecesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	orderID := id.New(id.Order)
	ctx := idempotency.WithRequest(t.Context(), idempotency.Request{Caller: "shop", Key: "k", Fingerprint: []byte{1}})
	first, err := b.SetOnHand(ctx, "A", "HAM", 100, "")
	require.NoError(t, err)
	_, err = b.Reserve(t.Context(), inventory.ReserveRequest{
		OrderID: orderID, Lines: []inventory.Line{{SKU: "A", Quantity: 10}},
	})
	require.NoError(t, err)
	_, err = b.Commit(t.Context(), inventory.CommitRequest{OrderID: orderID})
	require.NoError(t, err)

	again, err := b.SetOnHand(ctx, "A", "HAM", 100, "")
	require.NoError(t, err)
	require.Equal(t, first, again)
	b.requireStock("A HAM 90 0")
}
