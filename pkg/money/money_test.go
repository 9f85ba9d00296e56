package money_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orderflow/orderflow/pkg/money"
)

func TestAddRefusesOtherCurrenciesAndOverflow(t *testing.T) {
	t.Parallel()
	sum, err := money.Of(1999, "EUR").Add(money.Of(1, "EUR"))
	require.NoError(t, err)
	require.Equal(t, money.Of(2000, "EUR"), sum)

	_, err = money.Of(1, "EUR").Add(money.Of(1, "USD"))
	require.ErrorIs(t, err, money.ErrCurrencyMismatch)
	_, err = money.Of(math.MaxInt64, "EUR").Add(money.Of(1, "EUR"))
	require.ErrorIs(t, err, money.ErrOverflow)
	_, err = money.Of(math.MinInt64, "EUR").Add(money.Of(-1, "EUR"))
	require.ErrorIs(t, err, money.ErrOverflow)
}

func TestTimesIsRepeatedAdditionOrOverflow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := money.Of(rapid.Int64Min(0).Draw(t, "amount"), "EUR")
		n := rapid.Int64Range(0, 50).Draw(t, "n")

		want, wantErr := money.Of(0, "EUR"), error(nil)
		for range n {
			if want, wantErr = want.Add(m); wantErr != nil {
				break
			}
		}
		got, err := m.Times(n)
		require.Equal(t, wantErr, err)
		require.Equal(t, want, got)
	})
}

func TestKnownCurrencyWantsUpperCaseISO4217(t *testing.T) {
	t.Parallel()
	for code, known := range map[string]bool{"EUR": true, "JPY": true, "USD": true, "eur": false, "EU": false, "ABC": false, "": false} {
		require.Equal(t, known, money.KnownCurrency(code), code)
	}
}

func TestKnownCurrencyIsMoneyThatOneCanPayWith(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"XAF", "XCD", "XOF", "XPF"} {
		require.True(t, money.KnownCurrency(code), code)
	}
	for _, code := range []string{
		"XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XBA", "XBB", "XBC", "XBD", "XDR", "XSU", "XUA",
	} {
		require.False(t, money.KnownCurrency(code), code)
	}
}
