package stock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

func TestAnImportSetsWhatItNamesAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("A BER 1", "B BER 2", "C BER 3")
	_, err := b.reserve(newOrder(), "B 2")
	require.NoError(t, err)
	b.events()

	ctx := caller.With(t.Context(), caller.Caller{Subject: "anna"})
	done, err := b.Import(ctx, csvOf("A BER 10", "B BER 2", "A MUC 7", "N MUC 0"))
	require.NoError(t, err)
	require.Equal(t, stock.Imported{Lines: 4, Created: 2, Changed: 1}, done)
	b.requireStock("A BER 10 0", "A MUC 7 0", "B BER 2 2", "C BER 3 0", "N MUC 0 0")

	ev := b.requireEvents(inventory.EventImported.Type)[0]
	data, err := inventory.EventImported.Decode(ev)
	require.NoError(t, err)
	require.Equal(t, inventory.StockImported{Lines: 4, Created: 2, Changed: 1, ImportedBy: "anna"}, data)

	done, err = b.Import(ctx, csvOf("A BER 10", "B BER 2", "A MUC 7", "N MUC 0"))
	require.NoError(t, err)
	require.Equal(t, stock.Imported{Lines: 4}, done, "again")
	b.requireEvents()

	warehouses, err := b.Warehouses(ctx, "", 9)
	require.NoError(t, err)
	require.Equal(t, []string{"BER", "MUC"}, []string{warehouses[0].Code, warehouses[1].Code})
}

func TestAnImportThatIsRepeatedBringsNoSoldPiecesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := idempotency.WithRequest(t.Context(), idempotency.Request{Caller: "shop", Key: "k", Fingerprint: []byte{1}})
	first, err := b.Import(ctx, csvOf("A BER 100", "B BER 5"))
	require.NoError(t, err)
	order := newOrder()
	_, err = b.reserve(order, "A 10")
	require.NoError(t, err)
	require.NoError(t, b.commit(order))
	b.events()

	repeated := csvOf("A BER 100", "B BER 5")
	again, err := b.Import(ctx, repeated)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Zero(t, repeated.Len(), "it was read, so that its sender gets to the answer")
	b.requireStock("A BER 90 0", "B BER 5 0")
	b.requireEvents()
	_, err = b.Import(ctx, iotest.ErrReader(io.ErrUnexpectedEOF))
	require.ErrorIs(t, err, stock.ErrBodyUnreadable)
}

func TestAnImportWithWrongLinesNamesThemAllAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("A BER 5", "B BER 5")
	_, err := b.reserve(newOrder(), "B 3")
	require.NoError(t, err)
	b.events()

	_, err = b.Import(t.Context(), csvOf("A BER 9", "NEW NEW 1", "B BER 2", "A BER 1", "C BER x"))
	require.ErrorIs(t, err, stock.ErrInvalidImport)
	require.Equal(t, []errs.Field{
		{Pointer: "/lines/4", Code: "below_reserved", Message: "The quantity on hand is below the 3 reserved pieces."},
		{Pointer: "/lines/5", Code: "duplicate", Message: "Line 2 is about the same article in the same warehouse."},
		{Pointer: "/lines/6", Code: "not_an_integer", Message: "The quantity on hand must be a whole number."},
	}, errs.From(err).Fields)

	b.requireStock("A BER 5 0", "B BER 5 3")
	b.requireEvents()
	warehouses, err := b.Warehouses(t.Context(), "", 9)
	require.NoError(t, err)
	require.Len(t, warehouses, 1)

	_, err = b.Import(t.Context(), csvOf("A BER 9", "B BER 2"))
	require.ErrorIs(t, err, stock.ErrInvalidImport, "also where no other line is wrong")
	b.requireStock("A BER 5 0", "B BER 5 3")
}

func TestTheFirstHundredWrongLinesAreNamedWhateverIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := []string{"A BER 1"}
	for range 150 {
		rows = append(rows, "A BER 1", "B BER x")
	}
	_, err := b.Import(t.Context(), csvOf(rows...))
	e := errs.From(err)
	require.Len(t, e.Fields, stock.MaxFaults)
	for i, f := range e.Fields {
		require.Equal(t, fmt.Sprintf("/lines/%d", i+3), f.Pointer)
	}
	require.Contains(t, e.Message, "300 lines are wrong")
}

func TestAHundredThousandLinesAreImportedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = 100_000
	input := func(onHand int) io.Reader {
		var s strings.Builder
		s.WriteString("sku,warehouse,on_hand\n")
		for i := range n {
			fmt.Fprintf(&s, "SKU-%06d,W%d,%d\n", i*7919%n, i%5, onHand+i%3)
		}
		return strings.NewReader(s.String())
	}
	for _, step := range []struct {
		what   string
		onHand int
		want   stock.Imported
	}{
		{"new", 10, stock.Imported{Lines: n, Created: n}},
		{"the same", 10, stock.Imported{Lines: n}},
		{"changed", 20, stock.Imported{Lines: n, Changed: n}},
	} {
		began := time.Now()
		done, err := b.Import(t.Context(), input(step.onHand))
		require.NoError(t, err)
		t.Logf("%d lines, %s: %s", n, step.what, time.Since(began).Round(time.Millisecond))
		require.Equal(t, step.want, done)
	}
	b.requireEvents(inventory.EventImported.Type, inventory.EventImported.Type)
	_, err := b.reserve(newOrder(), "SKU-099999 20")
	require.NoError(t, err)
}

func TestAnImportThatBreaksOffLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("A BER 5")

	_, err := b.Import(t.Context(), io.MultiReader(csvOf("A BER 9", "B BER 1"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	require.ErrorIs(t, err, stock.ErrBodyUnreadable)
	b.requireStock("A BER 5 0")

	ctx, cancel := context.WithCancel(t.Context())
	sender, receiver := newPipe()
	go func() {
		_, _ = io.Copy(sender, csvOf("A BER 9", "B BER 1"))
		cancel()
		_ = sender.CloseWithError(ctx.Err())
	}()
	_, err = b.Import(ctx, receiver)
	require.ErrorIs(t, err, context.Canceled)
	b.requireStock("A BER 5 0")
	b.requireEvents()
}

func TestAnImportWhoseConnectionIsKilledLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("A BER 5")
	sender, receiver := newPipe()
	failed := make(chan error, 1)
	go func() {
		_, err := b.Import(t.Context(), receiver)
		_ = receiver.CloseWithError(err)
		failed <- err
	}()
	_, err := io.Copy(sender, csvOf("A BER 9", "B BER 1"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		tag, err := b.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'copy "stock_import"%' AND state = 'active'`)
		return err == nil && tag.RowsAffected() == 1
	}, 10*time.Second, 10*time.Millisecond)
	for err == nil { // The sender goes on until it is told.
		_, err = io.WriteString(sender, "C,BER,1\n")
	}
	require.Equal(t, errs.Unavailable, errs.From(<-failed).Kind)
	b.requireStock("A BER 5 0")
	b.requireEvents()
}

func TestMoreImportsThanMayRunAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	var senders []*io.PipeWriter
	for range 2 {
		sender, receiver := newPipe()
		senders = append(senders, sender)
		wg.Go(func() { _, _ = b.Import(t.Context(), receiver) })
		_, err := io.WriteString(sender, "sku,warehouse,on_hand\n") // Once it is read, the import runs.
		require.NoError(t, err)
	}
	_, err := b.Import(t.Context(), csvOf("A BER 1"))
	require.ErrorIs(t, err, stock.ErrImportBusy)
	for _, s := range senders {
		_ = s.Close()
	}
	wg.Wait()
	b.put("A BER 1")
}

func newPipe() (*io.PipeWriter, *io.PipeReader) {
	r, w := io.Pipe()
	return w, r
}

func TestImportsAndReservationsAtOnceKeepTheBooksRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := make([]string, 500)
	for i := range rows {
		rows[i] = fmt.Sprintf("S%d BER 1000", i)
	}
	b.put(rows...)
	stop := b.watch()
	for _, err := range together(10, func(i int) error {
		for n := range 20 {
			if i < 2 {
				_, err := b.Import(b.t.Context(), csvOf(rows...))
				if err != nil && !errors.Is(err, stock.ErrInvalidImport) {
					return err
				}
				continue
			}
			order := newOrder()
			if _, err := b.reserve(order, fmt.Sprintf("S%d 3, S%d 5", i*n, 499-i*n)); err != nil {
				return err
			}
			if err := []func(string) error{b.commit, b.release}[n%2](order); err != nil {
				return err
			}
		}
		return nil
	}) {
		require.NoError(t, err)
	}
	stop()
	b.requireInvariant()
}
