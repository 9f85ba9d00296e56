package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"time"

	inventory "github.com/orderflow/orderflow/services/inventory/client"
)

//go:embed seed.csv
var demoStock []byte

// seed puts demo stock into an inventory that has none: stock that is there is somebody's.
func seed(ctx context.Context, url string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	c, err := inventory.NewClientWithResponses(url)
	if err != nil {
		return err
	}
	one := 1
	list, err := c.ListStockWithResponse(ctx, &inventory.ListStockParams{Limit: &one})
	if err != nil {
		return err
	}
	if list.JSON200 == nil {
		return fmt.Errorf("asked for its stock, inventory answered %s: %s", list.Status(), list.Body)
	}
	if len(list.JSON200.Items) > 0 {
		fmt.Fprintln(out, "inventory has stock already, nothing seeded")
		return nil
	}
	put, err := c.ImportStockWithBodyWithResponse(ctx, nil, "text/csv", bytes.NewReader(demoStock))
	if err != nil {
		return err
	}
	if put.StatusCode() != http.StatusOK {
		return fmt.Errorf("given the demo stock, inventory answered %s: %s", put.Status(), put.Body)
	}
	fmt.Fprintln(out, "demo stock seeded")
	return nil
}
