package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// ListFilter says which orders to list. The zero value is the first page of all of them.
type ListFilter struct {
	Owner        string
	CustomerID   string
	Status       string
	PlacedAfter  *time.Time
	PlacedBefore *time.Time
	// AfterTime and AfterID are the place of the last order of the page before, if there is one.
	AfterTime time.Time
	AfterID   string
	Limit     int
}

const listColumns = `id, owner, customer_id, status, payment_status, fulfilment_status, currency, total, lines,
	shipping_address, reason_code, reason_message, placed_at, updated_at, ended_at, version`

// ListOrders returns orders newest first.
//
// The statement holds only the conditions that are asked for, so that the planner sees which index serves it. One
// statement with "(… IS NULL OR …)" for every filter would get a generic plan that serves none.
func ListOrders(ctx context.Context, conn db.DBTX, f ListFilter) ([]db.Order, error) {
	query, args := listStatement(f)
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[db.Order])
}

func listStatement(f ListFilter) (string, []any) {
	var conditions []string
	var args []any
	where := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i := range values {
			places[i] = len(args) + i + 1
		}
		conditions = append(conditions, fmt.Sprintf(condition, places...))
		args = append(args, values...)
	}
	if f.Owner != "" {
		where("owner = $%d", f.Owner)
	}
	if f.CustomerID != "" {
		where("customer_id = $%d", f.CustomerID)
	}
	if f.Status != "" {
		where("status = $%d", f.Status)
	}
	if f.PlacedAfter != nil {
		where("placed_at > $%d", *f.PlacedAfter)
	}
	if f.PlacedBefore != nil {
		where("placed_at < $%d", *f.PlacedBefore)
	}
	if f.AfterID != "" {
		where("(placed_at, id) < ($%d, $%d)", f.AfterTime, f.AfterID)
	}
	query := "SELECT " + listColumns + " FROM orders"
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	args = append(args, f.Limit)
	return query + fmt.Sprintf(" ORDER BY placed_at DESC, id DESC LIMIT $%d", len(args)), args
}
