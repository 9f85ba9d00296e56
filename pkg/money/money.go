// Package money holds amounts in minor units of an ISO 4217 currency. There are no floats here, and none may come.
package money

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/text/currency"
)

// MaxMinor is the largest amount accepted from outside, in minor units. Up to 2^53-1 an amount survives every JSON
// parser (RFC 8259, section 6).
const MaxMinor = 1<<53 - 1

// Errors of arithmetic.
var (
	ErrOverflow         = errors.New("money: amount overflows")
	ErrCurrencyMismatch = errors.New("money: currencies differ")
)

// Money is an amount of a currency. The zero value is no money in no currency.
type Money struct {
	// Amount is in minor units: cents of EUR, yen of JPY.
	Amount int64 `json:"amount"`
	// Currency is an ISO 4217 code in upper case.
	Currency string `json:"currency"`
}

// Of returns an amount of minor units.
func Of(amount int64, code string) Money { return Money{Amount: amount, Currency: code} }

// KnownCurrency reports whether code is the ISO 4217 code, in upper case, of money that one can pay with. Not all codes
// are: those that begin with X belong to no country, and most of them stand for gold, for units of account, for tests
// (XTS), or for no currency at all (XXX).
func KnownCurrency(code string) bool {
	unit, err := currency.ParseISO(code)
	if err != nil || unit.String() != code {
		return false
	}
	switch code {
	case "XAF", "XCD", "XOF", "XPF": // the francs and the dollar that several countries share
		return true
	default:
		return code[0] != 'X'
	}
}

// Add returns the sum, ErrCurrencyMismatch or ErrOverflow.
func (m Money) Add(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, ErrCurrencyMismatch
	}
	if (o.Amount > 0 && m.Amount > math.MaxInt64-o.Amount) || (o.Amount < 0 && m.Amount < math.MinInt64-o.Amount) {
		return Money{}, ErrOverflow
	}
	return Money{Amount: m.Amount + o.Amount, Currency: m.Currency}, nil
}

// Times returns the amount n times, or ErrOverflow. n must not be negative.
func (m Money) Times(n int64) (Money, error) {
	if n < 0 || (n > 0 && (m.Amount > math.MaxInt64/n || m.Amount < math.MinInt64/n)) {
		return Money{}, ErrOverflow
	}
	return Money{Amount: m.Amount * n, Currency: m.Currency}, nil
}

// String returns the amount in minor units and the currency, such as "1999 EUR" for EUR 19.99.
func (m Money) String() string { return fmt.Sprintf("%d %s", m.Amount, m.Currency) }
