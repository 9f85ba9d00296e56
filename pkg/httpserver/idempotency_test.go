package httpserver

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
)

func TestBothSpellingsOfAKeyAreTheSameKey(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"abc":                                "abc",
		`"abc"`:                              "abc",
		`"a\"b\\c"`:                          `a"b\c`,
		`a"b`:                                `a"b`,
		strings.Repeat("k", 255):             strings.Repeat("k", 255),
		`"` + strings.Repeat("k", 255) + `"`: strings.Repeat("k", 255),
	} {
		got, err := parseIdempotencyKey(header)
		require.NoError(t, err, header)
		require.Equal(t, want, got)
	}
	for _, header := range []string{
		"", `"`, `""`, `"a`, `"a"b"`, `"a\"`, `"a\x"`, `"a";p=1`, "a b", `"a b"`, "ä", "a\x00", "a\x7f", strings.Repeat("k", 256),
	} {
		_, err := parseIdempotencyKey(header)
		require.ErrorIs(t, err, errKey, header)
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"", "abc", `"abc"`, `"\"`, `"\\"`, `"a\"b"`, `"`, "\x00", "\xff", "a b", strings.Repeat("k", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, err := parseIdempotencyKey(header)
		if err != nil {
			require.Equal(t, errs.Malformed, errs.From(err).Kind)
			return
		}
		require.True(t, visibleASCII(key))
		require.LessOrEqual(t, len(key), maxIdempotencyKey)
		quoted, err := parseIdempotencyKey(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`)
		require.NoError(t, err)
		require.Equal(t, key, quoted)
	})
}
