package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

const (
	berlin = "10115" // an address that the carrier's sandbox serves at once

	slowCarrier     = "99901"
	carrierRefuses  = "99902"
	carrierIsDown   = "99903"
	bookingLost     = "99904"
	carrierRecovers = "99905"
	// cannotBeCalledOff is an address that parcels go to for good while the carrier's outage lasts.
	cannotBeCalledOff = "99906"
)

func line(sku string, quantity int64) orders.OrderLine {
	return orders.OrderLine{Sku: sku, Quantity: quantity, UnitPrice: 1250}
}

func newOrder(token, postal string, lines ...orders.OrderLine) orders.NewOrder {
	if len(lines) == 0 {
		lines = []orders.OrderLine{line("MUG", 1)}
	}
	return orders.NewOrder{
		CustomerID: "e2e", Currency: "EUR", Lines: lines, PaymentToken: token,
		ShippingAddress: orders.Address{
			Name: "Grace Hopper", Line1: "Invalidenstr. 116", City: "Berlin", PostalCode: postal, Country: "DE",
		},
	}
}

func ordersClient(t *testing.T, s *stack) *orders.ClientWithResponses {
	t.Helper()
	c, err := orders.NewClientWithResponses(s.URLs["orders"],
		orders.WithHTTPClient(&http.Client{Timeout: 90 * time.Second}))
	require.NoError(t, err)
	return c
}

// place places an order as a careful client does: it repeats the call with the same key until it has an answer.
func place(ctx context.Context, c *orders.ClientWithResponses, o orders.NewOrder) (string, error) {
	params := &orders.PlaceOrderParams{IdempotencyKey: uuid.NewString()}
	var last error
	for {
		res, err := c.PlaceOrderWithResponse(ctx, params, o)
		switch {
		case err == nil && res.StatusCode() == http.StatusAccepted:
			return res.JSON202.ID, nil
		case err == nil && res.StatusCode() < http.StatusInternalServerError && res.StatusCode() != http.StatusConflict:
			return "", fmt.Errorf("place: %d %s", res.StatusCode(), res.Body)
		case err == nil:
			last = fmt.Errorf("place: %d %s", res.StatusCode(), res.Body)
		default:
			last = err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// end waits for the end of an order.
func end(t *testing.T, c *orders.ClientWithResponses, id string, patience time.Duration) orders.Order {
	t.Helper()
	var order orders.Order
	require.Eventually(t, func() bool {
		res, err := c.GetOrderWithResponse(t.Context(), id)
		if err != nil || res.JSON200 == nil {
			return false
		}
		order = *res.JSON200
		return order.EndedAt != nil
	}, patience, 100*time.Millisecond, "order %s does not end", id)
	return order
}

func timeline(t *testing.T, c *orders.ClientWithResponses, id string) []string {
	t.Helper()
	limit := 100
	res, err := c.ListOrderEventsWithResponse(t.Context(), id, &orders.ListOrderEventsParams{Limit: &limit})
	require.NoError(t, err)
	require.NotNil(t, res.JSON200, "%s", res.Body)
	types := make([]string, len(res.JSON200.Items))
	for i, ev := range res.JSON200.Items {
		types[i] = ev.Type
	}
	return types
}
