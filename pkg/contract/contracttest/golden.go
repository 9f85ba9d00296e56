// Package contracttest pins the wire types of a contract, so that a change which breaks a peer fails a test first.
package contracttest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Golden checks that value, in which every field should be set, has the JSON kept in testdata/<name>.json, and that the
// kept JSON reads back as value. Run the test with -update after an additive change; `make compat` says if it was one.
func Golden[T any](t *testing.T, name string, value T) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')

	path := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // The path is a test's own.
	require.NoError(t, err, "run the test with -update to pin a new wire type")
	require.Equal(t, string(want), string(got),
		"the contract changed: if it was meant to, run the test with -update, and `make compat` says whom it breaks")

	var back T
	require.NoError(t, json.Unmarshal(want, &back))
	require.True(t, reflect.DeepEqual(value, back), "the golden file must read back as what was written")
}
