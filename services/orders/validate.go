package orders

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/money"
)

// Limits of an order.
const (
	MaxLines    = 100
	MaxQuantity = 1_000_000
)

var (
	skuPattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	customerPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`)
	tokenPattern    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	countryPattern  = regexp.MustCompile(`^[A-Z]{2}$`)
)

// Validate checks every rule that an order obeys whatever the state of the world. The API runs it before it accepts an
// order and the saga runs it again, because the API is not the only one who can start a saga. It is pure. The error, if
// any, is ErrInvalidOrder with a field for each rule that is broken.
func Validate(o Order) error {
	var c checker
	c.check(customerPattern.MatchString(o.CustomerID), "/customer_id", "invalid",
		"must be 1 to 128 letters, digits or . _ : @ -")
	c.check(money.KnownCurrency(o.Currency), "/currency", "unknown_currency", "must be an ISO 4217 code in upper case")
	c.check(tokenPattern.MatchString(o.PaymentToken), "/payment_token", "invalid",
		"must be 1 to 255 letters, digits, _ or -")
	c.lines(o)
	c.address(o.ShippingAddress)
	if len(c.fields) == 0 {
		return nil
	}
	return ErrInvalidOrder.WithFields(c.fields...)
}

type checker struct{ fields []errs.Field }

func (c *checker) check(ok bool, pointer, code, message string) {
	if !ok {
		c.fields = append(c.fields, errs.Field{Pointer: pointer, Code: code, Message: message})
	}
}

func (c *checker) lines(o Order) {
	if len(o.Lines) == 0 || len(o.Lines) > MaxLines {
		c.check(false, "/lines", "out_of_range", fmt.Sprintf("must hold 1 to %d lines", MaxLines))
		return
	}
	sound := len(c.fields)
	seen := make(map[string]bool, len(o.Lines))
	for i, l := range o.Lines {
		at := fmt.Sprintf("/lines/%d", i)
		c.check(skuPattern.MatchString(l.SKU), at+"/sku", "invalid", "must be 1 to 64 letters, digits or . _ -")
		c.check(!seen[l.SKU], at+"/sku", "duplicate", "must be ordered in one line only")
		seen[l.SKU] = true
		c.check(l.Quantity >= 1 && l.Quantity <= MaxQuantity, at+"/quantity", "out_of_range",
			fmt.Sprintf("must be from 1 to %d", MaxQuantity))
		c.check(l.UnitPrice >= 0 && l.UnitPrice <= money.MaxMinor, at+"/unit_price", "out_of_range",
			"must not be negative, nor above 2^53-1")
	}
	if len(c.fields) > sound {
		return // A sum of bad lines says nothing.
	}
	total, err := o.Total()
	switch {
	case errors.Is(err, money.ErrOverflow) || total.Amount > money.MaxMinor:
		c.check(false, "/lines", "total_too_large", "must cost 2^53-1 minor units at most")
	case total.Amount <= 0:
		c.check(false, "/lines", "total_too_small", "must cost something")
	}
}

func (c *checker) address(a Address) {
	const at = "/shipping_address"
	c.text(a.Name, at+"/name", 1, 200)
	c.text(a.Line1, at+"/line1", 1, 200)
	c.text(a.Line2, at+"/line2", 0, 200)
	c.text(a.City, at+"/city", 1, 200)
	c.text(a.Region, at+"/region", 0, 200)
	c.text(a.PostalCode, at+"/postal_code", 1, 20)
	c.check(countryPattern.MatchString(a.Country), at+"/country", "invalid",
		"must be an ISO 3166-1 alpha-2 code in upper case")
}

func (c *checker) text(s, pointer string, least, most int) {
	n := utf8.RuneCountInString(strings.TrimSpace(s))
	ok := utf8.ValidString(s) && !strings.ContainsRune(s, 0) && n >= least && utf8.RuneCountInString(s) <= most
	c.check(ok, pointer, "invalid", fmt.Sprintf("must be %d to %d characters of text", least, most))
}
