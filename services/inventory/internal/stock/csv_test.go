package stock

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// decode reads all of an import.
func decode(r io.Reader) ([]store.StagedLine, error) {
	d := newDecoder(r)
	var lines []store.StagedLine
	for {
		line, ok := d.next()
		if !ok {
			break
		}
		lines = append(lines, line)
	}
	if err := d.end(); err != nil {
		return lines, err
	}
	return lines, d.faults.err()
}

func TestLinesAreReadAsTheyAreCommonlyWritten(t *testing.T) {
	t.Parallel()
	want := []store.StagedLine{
		{Number: 2, SKU: "MUG-BLUE", Warehouse: "BER", OnHand: 120}, {Number: 3, SKU: "p.1_x", Warehouse: "m-1", OnHand: 0},
	}
	cases := map[string]string{
		"plain":           "sku,warehouse,on_hand\nMUG-BLUE,BER,120\np.1_x,m-1,0\n",
		"no last newline": "sku,warehouse,on_hand\nMUG-BLUE,BER,120\np.1_x,m-1,0",
		"CRLF":            "sku,warehouse,on_hand\r\nMUG-BLUE,BER,120\r\np.1_x,m-1,0\r\n",
		"byte order mark": "\ufeffsku,warehouse,on_hand\nMUG-BLUE,BER,120\np.1_x,m-1,0\n",
		"quotes":          "sku,warehouse,on_hand\n\"MUG-BLUE\",BER,\"120\"\n\"p.1_x\",\"m-1\",\"0\"\n",
		"leading zeros":   "sku,warehouse,on_hand\nMUG-BLUE,BER,00120\np.1_x,m-1,00\n",
		"empty at end":    "sku,warehouse,on_hand\nMUG-BLUE,BER,120\np.1_x,m-1,0\n\n\r\n",
	}
	for name, input := range cases {
		for how, r := range map[string]io.Reader{
			"at once": strings.NewReader(input), "byte by byte": iotest.OneByteReader(strings.NewReader(input)),
		} {
			lines, err := decode(r)
			require.NoError(t, err, "%s %s", name, how)
			require.Equal(t, want, lines, "%s %s", name, how)
		}
	}
}

func TestEmptyLinesCountAsLines(t *testing.T) {
	t.Parallel()
	lines, err := decode(strings.NewReader("sku,warehouse,on_hand\n\nA,BER,1\n\nB,BER,2\n"))
	require.NoError(t, err)
	require.Equal(t, []int64{3, 5}, []int64{lines[0].Number, lines[1].Number})
}

func TestWhatIsWrongWithALineIsSaid(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"A,BER":                                  "column_count",
		"A,BER,1,2":                              "column_count",
		"A;BER;1":                                "column_count",
		",BER,1":                                 "sku_invalid",
		"-A,BER,1":                               "sku_invalid",
		"A B,BER,1":                              "sku_invalid",
		" A,BER,1":                               "sku_invalid",
		"Ä,BER,1":                                "sku_invalid",
		"A\x00,BER,1":                            "sku_invalid",
		strings.Repeat("A", 65) + ",B,1":         "sku_invalid",
		"A,,1":                                   "warehouse_invalid",
		"A,BE R,1":                               "warehouse_invalid",
		"A," + strings.Repeat("B", 33) + ",1":    "warehouse_invalid",
		"A,BER,":                                 "not_an_integer",
		"A,BER,x":                                "not_an_integer",
		"A,BER,1.0":                              "not_an_integer",
		"A,BER,1e3":                              "not_an_integer",
		"A,BER,+1":                               "not_an_integer",
		"A,BER,-0":                               "not_an_integer",
		"A,BER,0x10":                             "not_an_integer",
		"A,BER,1_000":                            "not_an_integer",
		"A,BER, 1":                               "not_an_integer",
		"A,BER,-1":                               "negative",
		"A,BER,-9223372036854775809":             "negative",
		"A,BER,1000000000001":                    "out_of_range",
		"A,BER,9223372036854775808":              "out_of_range",
		"A,BER,\xff":                             "not_utf8",
		`A,"BER,1`:                               "quotes_invalid",
		`A"A,BER,1`:                              "quotes_invalid",
		`"A"A,BER,1`:                             "quotes_invalid",
		"A,BER,1" + strings.Repeat(" ", maxLine): "line_too_long",
		"A,BER,1" + strings.Repeat("1", 200<<10): "line_too_long",
	}
	for line, want := range cases {
		lines, err := decode(strings.NewReader("sku,warehouse,on_hand\nX,BER,1\n" + line + "\nY,BER,1\n"))
		require.ErrorIs(t, err, ErrInvalidImport, "%.40q", line)
		fields := errs.From(err).Fields
		require.Len(t, fields, 1, "%.40q", line)
		require.Equal(t, want, fields[0].Code, "%.40q", line)
		require.Equal(t, "/lines/3", fields[0].Pointer)
		require.Len(t, lines, 2, "the others are read, to find what is wrong with them")
	}
}

func TestAnImportNeedsAHeaderAndALine(t *testing.T) {
	t.Parallel()
	cases := map[string][2]string{
		"":                             {"/lines/1", "header_invalid"},
		"\n":                           {"/lines/1", "header_invalid"},
		"A,BER,1\n":                    {"/lines/1", "header_invalid"},
		"sku;warehouse;on_hand\nA;B;1": {"/lines/1", "header_invalid"},
		"sku,on_hand,warehouse\nA,1,B": {"/lines/1", "header_invalid"},
		"\xff\xfes\x00k\x00u\x00":      {"/lines/1", "header_invalid"},
		"sku,warehouse,on_hand":        {"/lines/2", "empty"},
		"sku,warehouse,on_hand\n":      {"/lines/2", "empty"},
	}
	for input, want := range cases {
		_, err := decode(strings.NewReader(input))
		require.ErrorIs(t, err, ErrInvalidImport, "%q", input)
		fields := errs.From(err).Fields
		require.Equal(t, want, [2]string{fields[0].Pointer, fields[0].Code}, "%q", input)
		require.Len(t, fields, 1)
	}
}

func TestAHundredWrongLinesAreNamedAndAllAreCounted(t *testing.T) {
	t.Parallel()
	_, err := decode(strings.NewReader("sku,warehouse,on_hand\n" + strings.Repeat("A,BER,-1\n", 250)))
	e := errs.From(err)
	require.Len(t, e.Fields, MaxFaults)
	require.Equal(t, "/lines/101", e.Fields[99].Pointer)
	require.Equal(t, "Nothing was imported, because 250 lines are wrong. The first 100 are named.", e.Message)
}

func TestABrokenOffImportIsNotTakenForItsBeginning(t *testing.T) {
	t.Parallel()
	begun := strings.NewReader("sku,warehouse,on_hand\nA,BER,1\nB,BE")
	_, err := decode(io.MultiReader(begun, iotest.ErrReader(io.ErrUnexpectedEOF)))
	require.ErrorIs(t, err, ErrBodyUnreadable)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func FuzzDecodeLine(f *testing.F) {
	for _, seed := range []string{
		"A,BER,1", `"A","BER","1"`, "", ",,", "A,BER,-1", "A,BER,9223372036854775808", "A,BER,1\r", `"A""B",BER,1`,
		"\ufeffA,BER,1", "A,BER,\xff", "A\x00,BER,1", "A,BER,+1", "A,BER,1,", `"`, "A;BER;1", "Ä,BER,１",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		staged, wrong := decodeLine(line)
		if wrong != nil {
			require.NotEmpty(t, wrong.code)
			require.NotEmpty(t, wrong.message)
			require.Zero(t, staged)
			return
		}
		require.Regexp(t, skuPattern, staged.SKU)
		require.Regexp(t, warehousePattern, staged.Warehouse)
		require.GreaterOrEqual(t, staged.OnHand, int64(0))
		require.LessOrEqual(t, staged.OnHand, int64(MaxOnHand))
	})
}

func FuzzDecodeImport(f *testing.F) {
	f.Add([]byte("sku,warehouse,on_hand\nA,BER,1\r\n\n\"B\",BER,2\nC,BER,-1"))
	f.Add([]byte("\ufeffsku,warehouse,on_hand\n"))
	f.Add([]byte("sku,warehouse,on_hand\n\"A\nB\",BER,1\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		lines, err := decode(strings.NewReader(string(input)))
		if err != nil && !errors.Is(err, ErrInvalidImport) {
			t.Fatalf("a reader that does not fail: %v", err)
		}
		last := int64(1)
		for _, l := range lines {
			require.Greater(t, l.Number, last)
			last = l.Number
		}
		if err != nil {
			require.LessOrEqual(t, len(errs.From(err).Fields), MaxFaults)
		}
	})
}
