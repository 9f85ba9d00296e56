package caller_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
)

func TestRequireNamesTheScopeThatIsMissing(t *testing.T) {
	t.Parallel()
	err := caller.Caller{Subject: "ann"}.Require(caller.ScopeOperate)
	require.ErrorIs(t, err, caller.ErrScopeMissing)
	require.ErrorContains(t, err, caller.ScopeOperate)
	require.NoError(t, caller.Caller{Scopes: []string{caller.ScopeOperate}}.Require(caller.ScopeOperate))
	require.NoError(t, caller.Caller{Scopes: []string{caller.ScopeAll}}.Require(caller.ScopeOperate))
}
