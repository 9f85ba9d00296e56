package httpserver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/httpserver"
)

func TestPreferencesAreReadAndUnknownOnesIgnored(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]struct {
		wait  time.Duration
		async bool
	}{
		"":                                     {0, false},
		"wait=10":                              {10 * time.Second, false},
		`wait="10"`:                            {10 * time.Second, false},
		"WAIT = 5 , Respond-Async":             {5 * time.Second, true},
		"respond-async, wait=100":              {100 * time.Second, true},
		"respond-async;foo=bar; wait=3":        {0, true},
		"wait=10; strict":                      {10 * time.Second, false},
		"wait=10, wait=20":                     {10 * time.Second, false},
		"return=minimal, handling=lenient":     {0, false},
		`foo="a, wait=9, \", x", wait=2`:       {2 * time.Second, false},
		`foo="unended, wait=9`:                 {0, false},
		"wait=-1":                              {0, false},
		"wait=1.5":                             {0, false},
		"wait":                                 {0, false},
		"wait=99999999999999999999":            {0, false},
		"wait=2000000000":                      {24 * time.Hour, false},
		",,;;==,respond-async":                 {0, true},
		"respond-async=false":                  {0, true},
		"Lenient; wait=4; respond-async":       {0, false},
		"wait=4\t,\trespond-async;x;y=\"z,w\"": {4 * time.Second, true},
	} {
		wait, async := httpserver.ParsePrefer(header)
		require.Equal(t, want.wait, wait, header)
		require.Equal(t, want.async, async, header)
	}
}

func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{
		"", "wait=10", `wait="10`, `a="\`, `"`, ",", ";", "=", "wait=,wait=1", `wait="10", respond-async`, "\x00", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		wait, _ := httpserver.ParsePrefer(header)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, 24*time.Hour)
		again, async := httpserver.ParsePrefer("wait=7, respond-async, " + header)
		require.Equal(t, 7*time.Second, again, "the first one counts")
		require.True(t, async)
	})
}
