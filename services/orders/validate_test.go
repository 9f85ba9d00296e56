package orders_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/services/orders"
)

func goodOrder() orders.Order {
	return orders.Order{
		CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok_visa",
		Lines: []orders.Line{{SKU: "MUG-1", Quantity: 2, UnitPrice: 1250}, {SKU: "TEE-1", Quantity: 1, UnitPrice: 2000}},
		ShippingAddress: orders.Address{
			Name: "Ada Lovelace", Line1: "12 St James's Square", Line2: "Top floor", City: "London", Region: "Greater London",
			PostalCode: "SW1Y 4JH", Country: "GB",
		},
	}
}

func TestAGoodOrderBreaksNoRule(t *testing.T) {
	t.Parallel()
	require.NoError(t, orders.Validate(goodOrder()))
	total, err := goodOrder().Total()
	require.NoError(t, err)
	require.Equal(t, money.Of(4500, "EUR"), total)
}

func TestEveryBrokenRuleIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		breakIt func(*orders.Order)
		pointer string
		code    string
	}{
		"no customer":        {func(o *orders.Order) { o.CustomerID = "" }, "/customer_id", "invalid"},
		"long customer":      {func(o *orders.Order) { o.CustomerID = strings.Repeat("c", 129) }, "/customer_id", "invalid"},
		"small currency":     {func(o *orders.Order) { o.Currency = "eur" }, "/currency", "unknown_currency"},
		"unknown currency":   {func(o *orders.Order) { o.Currency = "ABC" }, "/currency", "unknown_currency"},
		"no currency":        {func(o *orders.Order) { o.Currency = "XXX" }, "/currency", "unknown_currency"},
		"currency for tests": {func(o *orders.Order) { o.Currency = "XTS" }, "/currency", "unknown_currency"},
		"no token":           {func(o *orders.Order) { o.PaymentToken = "" }, "/payment_token", "invalid"},
		"no lines":           {func(o *orders.Order) { o.Lines = nil }, "/lines", "out_of_range"},
		"too many lines":     {func(o *orders.Order) { o.Lines = make([]orders.Line, 101) }, "/lines", "out_of_range"},
		"bad SKU":            {func(o *orders.Order) { o.Lines[1].SKU = "a b" }, "/lines/1/sku", "invalid"},
		"same SKU twice":     {func(o *orders.Order) { o.Lines[1].SKU = "MUG-1" }, "/lines/1/sku", "duplicate"},
		"no quantity":        {func(o *orders.Order) { o.Lines[0].Quantity = 0 }, "/lines/0/quantity", "out_of_range"},
		"negative quantity":  {func(o *orders.Order) { o.Lines[0].Quantity = -1 }, "/lines/0/quantity", "out_of_range"},
		"too many":           {func(o *orders.Order) { o.Lines[0].Quantity = 1_000_001 }, "/lines/0/quantity", "out_of_range"},
		"negative price":     {func(o *orders.Order) { o.Lines[0].UnitPrice = -1 }, "/lines/0/unit_price", "out_of_range"},
		"price beyond JSON":  {func(o *orders.Order) { o.Lines[0].UnitPrice = 1 << 53 }, "/lines/0/unit_price", "out_of_range"},
		"total overflows":    {func(o *orders.Order) { o.Lines[0] = orders.Line{SKU: "A", Quantity: 1_000_000, UnitPrice: 1<<53 - 1} }, "/lines", "total_too_large"},
		"total beyond JSON":  {func(o *orders.Order) { o.Lines[0] = orders.Line{SKU: "A", Quantity: 2, UnitPrice: 1<<53 - 1} }, "/lines", "total_too_large"},
		"all for nothing":    {func(o *orders.Order) { o.Lines = []orders.Line{{SKU: "A", Quantity: 1}} }, "/lines", "total_too_small"},
		"no name":            {func(o *orders.Order) { o.ShippingAddress.Name = " " }, "/shipping_address/name", "invalid"},
		"bad UTF-8":          {func(o *orders.Order) { o.ShippingAddress.City = "\xff" }, "/shipping_address/city", "invalid"},
		"NUL":                {func(o *orders.Order) { o.ShippingAddress.Line2 = "a\x00" }, "/shipping_address/line2", "invalid"},
		"long postal code":   {func(o *orders.Order) { o.ShippingAddress.PostalCode = strings.Repeat("1", 21) }, "/shipping_address/postal_code", "invalid"},
		"country in letters": {func(o *orders.Order) { o.ShippingAddress.Country = "GBR" }, "/shipping_address/country", "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := goodOrder()
			c.breakIt(&o)
			err := orders.Validate(o)
			require.ErrorIs(t, err, orders.ErrInvalidOrder)
			fields := errs.From(err).Fields
			require.Len(t, fields, 1)
			require.Equal(t, c.pointer, fields[0].Pointer)
			require.Equal(t, c.code, fields[0].Code)
		})
	}
}

func TestAllBrokenRulesAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	require.Len(t, errs.From(orders.Validate(orders.Order{Lines: []orders.Line{{}}})).Fields, 10)
}

func FuzzValidate(f *testing.F) {
	good, err := json.Marshal(goodOrder())
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(`{"lines":[{"sku":"A","quantity":9223372036854775807,"unit_price":9223372036854775807}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var o orders.Order
		if json.Unmarshal(raw, &o) != nil {
			return
		}
		if err := orders.Validate(o); err != nil {
			require.ErrorIs(t, err, orders.ErrInvalidOrder)
			return
		}
		// What is valid has a price that every JSON parser reads, and stays the same order on its way.
		total, err := o.Total()
		require.NoError(t, err)
		require.True(t, total.Amount > 0 && total.Amount <= money.MaxMinor)
		again, err := json.Marshal(o)
		require.NoError(t, err)
		var back orders.Order
		require.NoError(t, json.Unmarshal(again, &back))
		require.Equal(t, o, back)
	})
}
