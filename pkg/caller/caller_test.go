package caller_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
)

func TestOnlyWhoWasGrantedAScopeHasIt(t *testing.T) {
	t.Parallel()
	shop := caller.Caller{Subject: "shop", Scopes: []string{"orders:place"}}
	require.True(t, shop.Has("orders:place"))
	require.False(t, shop.Has("orders"))
	require.False(t, shop.MaySeeEverything())
	require.True(t, caller.Caller{Scopes: []string{caller.ScopeOperate}}.MaySeeEverything())
	require.True(t, caller.Caller{Scopes: []string{caller.ScopeAll}}.MaySeeEverything())
}

func TestWithoutACallerNothingIsAllowed(t *testing.T) {
	t.Parallel()
	nobody := caller.From(t.Context())
	require.Equal(t, caller.Caller{}, nobody)
	require.False(t, nobody.Has("orders:place"))

	somebody := caller.Caller{Subject: "shop"}
	require.Equal(t, somebody, caller.From(caller.With(t.Context(), somebody)))
}
