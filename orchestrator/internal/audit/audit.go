package audit

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	inventory "github.com/orderflow/orderflow/services/inventory/client"
	orders "github.com/orderflow/orderflow/services/orders/client"
	payments "github.com/orderflow/orderflow/services/payments/client"
	shipping "github.com/orderflow/orderflow/services/shipping/client"
)

// Finding is one thing that is wrong.
type Finding struct {
	OrderID string
	Problem string
}

// Report is what an audit found.
type Report struct {
	Checked  int
	Findings []Finding
}

// Auditor reads the books of all services.
type Auditor struct {
	orders    orders.ClientWithResponsesInterface
	payments  payments.ClientWithResponsesInterface
	inventory inventory.ClientWithResponsesInterface
	shipping  shipping.ClientWithResponsesInterface
}

// New returns an auditor of the services at these URLs.
func New(ordersURL, paymentsURL, inventoryURL, shippingURL string) (*Auditor, error) {
	var a Auditor
	var err error
	if a.orders, err = orders.NewClientWithResponses(ordersURL); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if a.payments, err = payments.NewClientWithResponses(paymentsURL); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if a.inventory, err = inventory.NewClientWithResponses(inventoryURL); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if a.shipping, err = shipping.NewClientWithResponses(shippingURL); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return &a, nil
}

const (
	// parallel limits the orders read at a time, so that an audit does not disturb those who place some.
	parallel = 8
	// looks is how often the books of an order are read before they count as wrong: they are kept by several services,
	// and between two of an order's last steps they may differ for a moment.
	looks = 4
	pause = time.Second
)

// Run checks every order, payment, reservation and shipment made after from.
func (a *Auditor) Run(ctx context.Context, from time.Time, patience time.Duration) (Report, error) {
	ids, err := a.orderIDs(ctx, from)
	if err != nil {
		return Report{}, err
	}
	report := Report{Checked: len(ids)}
	var mu sync.Mutex
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(parallel)
	for _, id := range ids {
		work.Go(func() error {
			wrong, err := a.check(ctx, id, patience)
			mu.Lock()
			defer mu.Unlock()
			for _, problem := range wrong {
				report.Findings = append(report.Findings, Finding{OrderID: id, Problem: problem})
			}
			return err
		})
	}
	return report, work.Wait()
}

func (a *Auditor) check(ctx context.Context, id string, patience time.Duration) (wrong []string, err error) {
	for range looks {
		books, err := a.read(ctx, id)
		if err != nil {
			return nil, err
		}
		if wrong = Check(books, time.Now(), patience); len(wrong) == 0 {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
	return wrong, nil
}

// orderIDs returns every order that any of the services knows of, each once.
func (a *Auditor) orderIDs(ctx context.Context, from time.Time) ([]string, error) {
	limit := 100
	sources := []func(cursor *string) ([]row, *string, error){
		func(cursor *string) ([]row, *string, error) {
			res, err := a.orders.ListOrdersWithResponse(ctx, &orders.ListOrdersParams{Limit: &limit, Cursor: cursor})
			if err = answered(res, err); err != nil {
				return nil, nil, err
			}
			return rows(res.JSON200.Items, func(o orders.Order) row { return row{o.ID, o.PlacedAt} }),
				res.JSON200.NextCursor, nil
		},
		func(cursor *string) ([]row, *string, error) {
			res, err := a.payments.ListPaymentsWithResponse(ctx, &payments.ListPaymentsParams{Limit: &limit, Cursor: cursor})
			if err = answered(res, err); err != nil {
				return nil, nil, err
			}
			return rows(res.JSON200.Items, func(p payments.Payment) row { return row{p.OrderID, p.CreatedAt} }),
				res.JSON200.NextCursor, nil
		},
		func(cursor *string) ([]row, *string, error) {
			res, err := a.inventory.ListReservationsWithResponse(ctx,
				&inventory.ListReservationsParams{Limit: &limit, Cursor: cursor})
			if err = answered(res, err); err != nil {
				return nil, nil, err
			}
			return rows(res.JSON200.Items, func(r inventory.Reservation) row { return row{r.OrderID, r.CreatedAt} }),
				res.JSON200.NextCursor, nil
		},
		func(cursor *string) ([]row, *string, error) {
			res, err := a.shipping.ListShipmentsWithResponse(ctx,
				&shipping.ListShipmentsParams{Limit: &limit, Cursor: cursor})
			if err = answered(res, err); err != nil {
				return nil, nil, err
			}
			return rows(res.JSON200.Items, func(s shipping.Shipment) row { return row{s.OrderID, s.CreatedAt} }),
				res.JSON200.NextCursor, nil
		},
	}
	var ids []string
	for _, next := range sources {
		found, err := walk(next, from)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// row is the order that an entry of a list is about, and when the entry was made.
type row struct {
	orderID string
	at      time.Time
}

func rows[T any](items []T, of func(T) row) []row {
	out := make([]row, len(items))
	for i, it := range items {
		out[i] = of(it)
	}
	return out
}

// walk reads a list, newest first, until it reaches what is older than from.
func walk(next func(cursor *string) ([]row, *string, error), from time.Time) (ids []string, err error) {
	var cursor *string
	for {
		page, following, err := next(cursor)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if r.at.Before(from) {
				return ids, nil
			}
			ids = append(ids, r.orderID)
		}
		if following == nil {
			return ids, nil
		}
		cursor = following
	}
}

// response is what all generated clients return.
type response interface {
	StatusCode() int
	GetBody() []byte
}

func answered(res response, err error) error {
	if err != nil {
		return err
	}
	if res.StatusCode() != http.StatusOK {
		return fmt.Errorf("audit: a service answered %d: %s", res.StatusCode(), res.GetBody())
	}
	return nil
}
