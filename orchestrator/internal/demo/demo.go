// Package demo places orders that show how an order can end, and tells each one's story while it happens. It is a
// client like any other: what it knows it learned from the public API.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/orderflow/orderflow/services/orders/client"
)

// scenario is an order and the end that it must come to.
type scenario struct {
	title  string
	token  string
	postal string
	lines  []client.OrderLine
	// status and code of the end. A demo that ends otherwise fails.
	status client.OrderStatus
	code   string
}

const (
	plainPostal   = "10115"
	carrierIsDown = "99903"
	slowCarrier   = "99901"
)

func line(sku string, quantity, price int64) client.OrderLine {
	return client.OrderLine{Sku: sku, Quantity: quantity, UnitPrice: price}
}

func scenarios() []scenario {
	coffee := []client.OrderLine{line("COFFEE-1KG", 2, 1999)}
	return []scenario{
		{"All goes well", "pm_card_visa", plainPostal, coffee, client.OrderStatusConfirmed, ""},
		{
			"From two warehouses at once", "pm_card_visa", plainPostal,
			[]client.OrderLine{line("GRINDER", 1, 8900), line("TEAPOT", 1, 3450)},
			client.OrderStatusConfirmed, "",
		},
		{
			"The card is declined", "pm_card_chargeDeclined", plainPostal,
			coffee, client.OrderStatusFailed, "payment_declined",
		},
		{
			"Not enough in stock", "pm_card_visa", plainPostal,
			[]client.OrderLine{line("RARE-VINYL", 5, 29900)},
			client.OrderStatusFailed, "out_of_stock",
		},
		{
			"The carrier is down: the payment is voided and the stock released", "pm_card_visa", carrierIsDown,
			coffee, client.OrderStatusFailed, "carrier_unavailable",
		},
		{
			"The payment provider does not answer: the outcome is looked up", "pm_sandbox_timeout", plainPostal,
			coffee, client.OrderStatusConfirmed, "",
		},
	}
}

// Demo runs against one orders API.
type Demo struct {
	orders client.ClientWithResponsesInterface
	out    io.Writer
}

// New returns a demo of the orders API at url that tells its stories to out.
func New(url string, out io.Writer) (*Demo, error) {
	c, err := client.NewClientWithResponses(url)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &Demo{orders: c, out: out}, nil
}

// Run shows every scenario in turn and returns an error for each that did not end as it should.
func (d *Demo) Run(ctx context.Context) error {
	var failures []error
	for i, s := range scenarios() {
		fmt.Fprintf(d.out, "\n%d. %s\n", i+1, s.title)
		if err := d.show(ctx, s); err != nil {
			fmt.Fprintf(d.out, "   ✗ %v\n", err)
			failures = append(failures, fmt.Errorf("%s: %w", s.title, err))
		}
	}
	fmt.Fprintln(d.out, "\n7. Cancelled while the carrier takes its time")
	if err := d.showCancel(ctx); err != nil {
		fmt.Fprintf(d.out, "   ✗ %v\n", err)
		failures = append(failures, fmt.Errorf("cancel: %w", err))
	}
	return errors.Join(failures...)
}

func (d *Demo) show(ctx context.Context, s scenario) error {
	id, err := d.place(ctx, s)
	if err != nil {
		return err
	}
	return d.follow(ctx, id, s.status, s.code, nil)
}

func (d *Demo) showCancel(ctx context.Context) error {
	mug := []client.OrderLine{line("MUG", 1, 1200)}
	//nolint:gosec // A test token of the sandbox is no credential.
	id, err := d.place(ctx, scenario{token: "pm_card_visa", postal: slowCarrier, lines: mug})
	if err != nil {
		return err
	}
	cancelled := false
	return d.follow(ctx, id, client.OrderStatusCancelled, "cancelled_on_request", func(ev client.OrderEvent) error {
		if cancelled || ev.Type != "payment.authorized" {
			return nil
		}
		cancelled = true
		res, err := d.orders.CancelOrderWithResponse(ctx, id,
			&client.CancelOrderParams{IdempotencyKey: uuid.NewString()}, client.Cancellation{})
		if err != nil {
			return err
		}
		return expect(res.StatusCode(), res.Body, http.StatusAccepted)
	})
}

func (d *Demo) place(ctx context.Context, s scenario) (string, error) {
	res, err := d.orders.PlaceOrderWithResponse(ctx, &client.PlaceOrderParams{IdempotencyKey: uuid.NewString()},
		client.NewOrder{
			CustomerID: "demo", Currency: "EUR", Lines: s.lines, PaymentToken: s.token,
			ShippingAddress: client.Address{
				Name: "Ada Lovelace", Line1: "Invalidenstr. 116", City: "Berlin", PostalCode: s.postal, Country: "DE",
			},
		})
	if err != nil {
		return "", err
	}
	if err := expect(res.StatusCode(), res.Body, http.StatusAccepted); err != nil {
		return "", err
	}
	fmt.Fprintf(d.out, "   %s  %d %s\n", res.JSON202.ID, res.JSON202.Total.Amount, res.JSON202.Total.Currency)
	return res.JSON202.ID, nil
}

// patience is how long an order may take to end.
const patience = 2 * time.Minute

// stragglers is how many more looks are taken once an order has ended: what the other services tell of it comes by
// events, which may arrive after the end.
const stragglers = 3

// follow prints an order's timeline as it grows, until the order has ended and its services have told of it.
func (d *Demo) follow(
	ctx context.Context, id string, status client.OrderStatus, code string, on func(client.OrderEvent) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var began time.Time
	printed, ended := 0, 0
	for {
		order, err := d.orders.GetOrderWithResponse(ctx, id)
		if err != nil {
			return err
		}
		if err := expect(order.StatusCode(), order.Body, http.StatusOK); err != nil {
			return err
		}
		limit := 100
		events, err := d.orders.ListOrderEventsWithResponse(ctx, id, &client.ListOrderEventsParams{Limit: &limit})
		if err != nil {
			return err
		}
		if err := expect(events.StatusCode(), events.Body, http.StatusOK); err != nil {
			return err
		}
		for _, ev := range events.JSON200.Items[printed:] {
			if began.IsZero() {
				began = ev.At
			}
			fmt.Fprintf(d.out, "   %7.3fs  %-26s %s\n", ev.At.Sub(began).Seconds(), ev.Type, ev.Message)
			printed++
			if on != nil {
				if err := on(ev); err != nil {
					return err
				}
			}
		}
		if order.JSON200.EndedAt != nil {
			ended++
		}
		if ended > stragglers {
			return d.verdict(*order.JSON200, status, code)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("order %s is still %s", id, order.JSON200.Status)
		case <-tick.C:
		}
	}
}

func (d *Demo) verdict(order client.Order, status client.OrderStatus, code string) error {
	got := ""
	if order.Reason != nil {
		got = order.Reason.Code
	}
	if order.Status != status || got != code {
		return fmt.Errorf("ended %s %s, not %s %s", order.Status, got, status, code)
	}
	fmt.Fprintf(d.out, "   ✓ %s", order.Status)
	if order.Reason != nil {
		fmt.Fprintf(d.out, ": %s (%s)", order.Reason.Message, order.Reason.Code)
	}
	fmt.Fprintln(d.out)
	return nil
}

func expect(status int, body []byte, want int) error {
	if status != want {
		return fmt.Errorf("the API answered %d: %s", status, body)
	}
	return nil
}
