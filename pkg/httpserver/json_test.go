package httpserver

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
)

func TestParseJSONKeepsNumbersAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	v, err := parseJSON([]byte(` {"a":[1e400,-0,null,true,"\ud800"],"":{}} `))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"a": []any{json.Number("1e400"), json.Number("-0"), nil, true, "\ufffd"}, "": map[string]any{},
	}, v)
}

func TestPointersAreEscapedAndShort(t *testing.T) {
	t.Parallel()
	require.Empty(t, pointer(nil))
	require.Equal(t, "/a~1b/m~0n/0/", pointer([]string{"a/b", "m~n", "0", ""}))
	long := pointer([]string{strings.Repeat("ä", 1000)})
	require.Less(t, len(long), 110)
	require.True(t, utf8.ValidString(long))
}

// FuzzJSONChecks holds parseJSON against encoding/json: it accepts nothing that is no JSON, and what it accepts, it
// reads as encoding/json does.
func FuzzJSONChecks(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `[1 2]`, `[1,]`, `{"a" 1}`, `{"a":1,}`, `[,1]`,
		`{,}`, `{"a"}`, `{1:2}`, `[1]]`, `}`, `]`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `1e400`, `-`, `01`, `1.`, "\ufeff{}",
		strings.Repeat("[", 40), strings.Repeat(`{"":`, 40), `{"a":[{"b":{}}]} x`, "\"\x00\"", `tru`, `"`, `[1,2`, `{"a":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := parseJSON(body)
		if err != nil {
			require.Equal(t, errs.Malformed, errs.From(err).Kind)
			return
		}
		require.True(t, json.Valid(body), "%q", body)
		require.True(t, utf8.Valid(body))
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		var want any
		require.NoError(t, d.Decode(&want))
		require.Equal(t, want, got)
		compact, err := json.Marshal(got)
		require.NoError(t, err)
		require.NotContains(t, string(compact), `\u0000`)
	})
}
