package traces

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestAnOrdersWayIsTold prints recorded traces: of an order whose payment's outcome was looked up, of one that was
// cancelled by another request, and of one whose end is not known yet.
func TestAnOrdersWayIsTold(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/*/spans.jsonl")
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			orderID, err := os.ReadFile(filepath.Join(dir, "order"))
			require.NoError(t, err)
			var out bytes.Buffer
			require.NoError(t, Print(&out, dir, strings.TrimSpace(string(orderID))))
			golden := filepath.Join(dir, "golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), out.String())
			requireSum(t, out.String())
		})
	}
}

// requireSum adds up what is printed.
func requireSum(t *testing.T, printed string) {
	t.Helper()
	steps, _, _ := strings.Cut(printed, "  span\n")
	sum, total := 0, -1
	for line := range strings.Lines(steps) {
		fields := strings.Fields(line)
		switch {
		case strings.HasSuffix(line, "from placed to end\n"), strings.HasSuffix(line, "so far\n"):
			total = tenths(t, fields[0])
		case len(fields) > 2 && strings.Contains(fields[0], ".") && strings.Contains(fields[1], "."):
			require.Equal(t, sum, tenths(t, fields[0]), "there is a gap before %s", line)
			sum += tenths(t, fields[1])
		}
	}
	require.Positive(t, total)
	require.Equal(t, total, sum)
}

func tenths(t *testing.T, ms string) int {
	t.Helper()
	f, err := strconv.ParseFloat(ms, 64)
	require.NoError(t, err)
	return int(f*10 + 0.5)
}

func TestAnOrderWithoutATraceIsSaidToHaveNone(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, Print(&bytes.Buffer{}, t.TempDir(), "ord_1"), ErrNone)
	require.ErrorIs(t, Print(&bytes.Buffer{}, "testdata/looked-up", "ord_1"), ErrNone)
}
