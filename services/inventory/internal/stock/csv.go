package stock

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
)

// MaxFaults is how many wrong lines of an import are named. The others are counted.
const MaxFaults = 100

const (
	header        = "sku,warehouse,on_hand"
	byteOrderMark = "\ufeff"
	// maxLine is far more than a right line needs, in bytes.
	maxLine = 1024
)

// fault is what is wrong with a line of an import.
type fault struct{ code, message string }

// faults gathers what is wrong with an import: the first lines, at least MaxFaults of them, and the number of all.
type faults struct {
	fields []lineFault
	total  int64
}

type lineFault struct {
	line int64
	fault
}

// add takes faults in the order of their lines.
func (f *faults) add(line int64, what fault) {
	f.total++
	if len(f.fields) < MaxFaults {
		f.fields = append(f.fields, lineFault{line, what})
	}
}

// err returns ErrInvalidImport, or nil if nothing is wrong.
func (f *faults) err() error {
	if f.total == 0 {
		return nil
	}
	slices.SortFunc(f.fields, func(a, b lineFault) int { return int(a.line - b.line) })
	fields := make([]errs.Field, 0, MaxFaults)
	for _, l := range f.fields[:min(len(f.fields), MaxFaults)] {
		fields = append(fields, errs.Field{Pointer: fmt.Sprintf("/lines/%d", l.line), Code: l.code, Message: l.message})
	}
	e := ErrInvalidImport.WithFields(fields...)
	if f.total > MaxFaults {
		return e.WithMessage("Nothing was imported, because %d lines are wrong. The first %d are named.",
			f.total, MaxFaults)
	}
	return e.WithMessage("Nothing was imported, because %d lines are wrong.", f.total)
}

// decoder reads the lines of an import one after the other, so that its size does not matter. It goes on after a wrong
// line, to find them all. Lines end with LF or CRLF; empty lines are passed over, as is common for CSV.
type decoder struct {
	in     *bufio.Reader
	number int64
	good   int64
	faults faults
	// err is why the input could not be read to its end.
	err error
}

func newDecoder(r io.Reader) *decoder {
	return &decoder{in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next right line, and false at the end.
func (d *decoder) next() (store.StagedLine, bool) {
	if d.number == 0 && !d.readHeader() {
		return store.StagedLine{}, false
	}
	for {
		line, ok := d.readLine()
		if !ok {
			return store.StagedLine{}, false
		}
		if len(line) == 0 {
			continue
		}
		staged, wrong := decodeLine(line)
		if wrong != nil {
			d.faults.add(d.number, *wrong)
			continue
		}
		staged.Number = d.number
		d.good++
		return staged, true
	}
}

// readHeader returns false where there is no use in reading on.
func (d *decoder) readHeader() bool {
	line, ok := d.readLine()
	if ok && string(bytes.TrimPrefix(line, []byte(byteOrderMark))) == header {
		return true
	}
	if d.err == nil {
		d.faults.add(1, fault{"header_invalid", "The first line must be " + header + "."})
	}
	return false
}

// end says what is wrong with the import once next has returned false.
func (d *decoder) end() error {
	if d.err != nil {
		return d.err
	}
	if d.good == 0 && d.faults.total == 0 {
		d.faults.add(d.number+1, fault{"empty", "There must be a line after the header."})
	}
	return nil
}

// readLine returns the next line without its end. It is valid until the next call.
func (d *decoder) readLine() ([]byte, bool) {
	line, err := d.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		// Much too long, and decodeLine will say so. Its rest is passed over.
		line = bytes.Clone(line[:maxLine+1])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = d.in.ReadSlice('\n')
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = unreadable(err)
		return nil, false
	}
	if err != nil && len(line) == 0 {
		return nil, false
	}
	d.number++
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), true
}

// unreadable keeps the error that says that the body is too large, which the HTTP server knows.
func unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	return ErrBodyUnreadable.WithCause(err)
}

// decodeLine reads one line of three fields. It returns what is wrong with it, if anything is.
func decodeLine(line []byte) (store.StagedLine, *fault) {
	switch {
	case len(line) > maxLine:
		return wrong("line_too_long", "The line must not have more than %d bytes.", maxLine)
	case !utf8.Valid(line):
		return wrong("not_utf8", "The line must be UTF-8.")
	}
	fields, err := splitLine(string(line))
	switch {
	case err != nil:
		return wrong("quotes_invalid", "The quotes of the line do not match.")
	case len(fields) != 3:
		return wrong("column_count", "The line must have 3 columns, not %d.", len(fields))
	case !skuPattern.MatchString(fields[0]):
		return wrong("sku_invalid", "The sku must be 1 to 64 letters, digits or . _ - and begin with a letter or digit.")
	case !warehousePattern.MatchString(fields[1]):
		return wrong("warehouse_invalid",
			"The warehouse must be 1 to 32 letters, digits or . _ - and begin with a letter or digit.")
	}
	onHand, err := strconv.ParseInt(fields[2], 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && onHand == math.MaxInt64, onHand > MaxOnHand:
		return wrong("out_of_range", "The quantity on hand must not be above %d.", MaxOnHand)
	case errors.Is(err, strconv.ErrRange), onHand < 0:
		return wrong("negative", "The quantity on hand must not be negative.")
	case err != nil, fields[2][0] == '+', fields[2][0] == '-':
		return wrong("not_an_integer", "The quantity on hand must be a whole number.")
	}
	return store.StagedLine{SKU: fields[0], Warehouse: fields[1], OnHand: onHand}, nil
}

func wrong(code, message string, args ...any) (store.StagedLine, *fault) {
	return store.StagedLine{}, &fault{code, fmt.Sprintf(message, args...)}
}

// splitLine leaves quotes to the standard library. Most lines have none, and there are many of them.
func splitLine(line string) ([]string, error) {
	if !strings.Contains(line, `"`) {
		return strings.Split(line, ","), nil
	}
	r := csv.NewReader(strings.NewReader(line))
	r.FieldsPerRecord = -1
	return r.Read()
}
