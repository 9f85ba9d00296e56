package order

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/orders/internal/store"
)

// Filter says which orders to list. Its zero value is all that the caller may see.
type Filter struct {
	// Owner is the caller who placed the orders.
	Owner      string `json:"owner"`
	CustomerID string `json:"customer_id"`
	Status     Status `json:"status"`
	// PlacedAfter and PlacedBefore are exclusive.
	PlacedAfter  *time.Time `json:"placed_after"`
	PlacedBefore *time.Time `json:"placed_before"`
}

// Page is one page of a list.
type Page struct {
	Orders []Order
	// Next is the cursor of the next page; empty on the last one.
	Next string
}

// List returns the orders that the caller in ctx placed or, to operators, those of everybody, newest first. It returns
// ErrForeignOwner or, for a bad cursor, a failure of package page.
func (s *Service) List(ctx context.Context, f Filter, cursor string, limit int) (Page, error) {
	if c := caller.From(ctx); !c.MaySeeEverything() {
		if f.Owner != "" && f.Owner != c.Subject {
			return Page{}, ErrForeignOwner
		}
		f.Owner = c.Subject
	}
	key, err := json.Marshal(f)
	if err != nil {
		return Page{}, fmt.Errorf("order: encode filter: %w", err)
	}
	var after page.Position
	if cursor != "" {
		if after, err = page.Decode(cursor, string(key), time.Now()); err != nil {
			return Page{}, err
		}
	}
	rows, err := store.ListOrders(ctx, s.pool, store.ListFilter{
		Owner: f.Owner, CustomerID: f.CustomerID, Status: string(f.Status),
		PlacedAfter: f.PlacedAfter, PlacedBefore: f.PlacedBefore,
		AfterTime: after.Time, AfterID: after.ID, Limit: limit + 1,
	})
	if err != nil {
		return Page{}, postgres.Interpret(err)
	}
	var p Page
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		p.Next = page.Encode(page.Position{Time: last.PlacedAt, ID: last.ID}, string(key))
	}
	p.Orders = make([]Order, len(rows))
	for i, row := range rows {
		p.Orders[i] = fromRow(row)
	}
	return p, nil
}
