package id_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
)

func TestIdentifiersSortByTheTimeTheyWereMade(t *testing.T) {
	t.Parallel()
	var made []string
	for range 1000 {
		made = append(made, id.New(id.Order))
	}
	require.True(t, slices.IsSorted(made))
	require.Len(t, slices.Compact(made), 1000)
}

func TestValidKnowsOneSpellingOnly(t *testing.T) {
	t.Parallel()
	good := id.New(id.Order)
	require.True(t, id.Valid(id.Order, good))
	for _, bad := range []string{"", "ord_", strings.ToUpper(good), id.New(id.Payment), good + "0", "ord_" + strings.ReplaceAll(good[4:], "-", "")} {
		require.False(t, id.Valid(id.Order, bad), bad)
	}
}
