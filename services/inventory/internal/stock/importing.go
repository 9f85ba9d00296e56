package stock

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/store"
	"github.com/orderflow/orderflow/services/inventory/internal/store/db"
)

// maxImports is how many imports may run at once in a process. Each holds a database connection for as long as its
// sender needs, and reservations need connections as well.
const maxImports = 2

// Imported tells what an import did, in lines.
type Imported struct {
	// Lines of the input, the header not counted.
	Lines int64 `json:"lines"`
	// Created lines are about an article that is new to its warehouse; Changed ones had another quantity before.
	Created int64 `json:"created"`
	Changed int64 `json:"changed"`
}

// Import sets the quantities on hand that CSV with the columns sku, warehouse, on_hand names, all or none. It returns
// ErrInvalidImport with the wrong lines, ErrBodyUnreadable or the reader's own error when the input breaks off and
// ErrImportBusy when it should be tried again. There is one event about the whole import.
//
// It runs once per idempotency.Request, like SetOnHand. The request's fingerprint must cover the content of r, which
// nobody knows when the request begins; a repetition is read to its end, so that r can tell if it is other content.
func (s *Service) Import(ctx context.Context, r io.Reader) (Imported, error) {
	select {
	case s.importing <- struct{}{}:
		defer func() { <-s.importing }()
	default:
		return Imported{}, ErrImportBusy
	}
	lines := newDecoder(r)
	started := false
	done, replayed, err := idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (Imported, error) {
		if started { // PostgreSQL gave the transaction up, and the input cannot be read twice.
			return Imported{}, ErrImportBusy
		}
		started = true
		return importLines(ctx, tx, lines)
	})
	if postgres.ConstraintName(err) == "stock_reserved_within_on_hand" {
		// Somebody added the row and reserved from it between the check and the change.
		return Imported{}, ErrImportBusy.WithCause(err)
	}
	if err != nil && ctx.Err() != nil {
		// A copy that is cancelled has its connection closed, which is not a failure of the database's.
		return Imported{}, ctx.Err()
	}
	if err != nil {
		return Imported{}, err
	}
	if replayed {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return Imported{}, unreadable(err)
		}
		return done, nil
	}
	s.committed()
	s.metrics.imported.Add(float64(done.Lines))
	return done, nil
}

func importLines(ctx context.Context, tx pgx.Tx, lines *decoder) (Imported, error) {
	staging, err := store.Stage(ctx, tx, lines.next)
	if err != nil {
		return Imported{}, err
	}
	if err := lines.end(); err != nil {
		return Imported{}, err
	}
	if err := addWrongLines(ctx, staging, &lines.faults); err != nil {
		return Imported{}, err
	}
	if err := lines.faults.err(); err != nil {
		return Imported{}, err
	}
	created, changed, err := staging.Apply(ctx)
	if err != nil {
		return Imported{}, err
	}
	done := Imported{Lines: lines.good, Created: created, Changed: changed}
	if created+changed == 0 {
		return done, nil
	}
	return done, publishImport(ctx, tx, done)
}

// addWrongLines adds what only shows when a line is compared with others.
func addWrongLines(ctx context.Context, staging store.Staging, found *faults) error {
	lines, total, err := staging.Compare(ctx, MaxFaults)
	if err != nil {
		return err
	}
	found.total += total
	for _, l := range lines {
		what := fault{"below_reserved", fmt.Sprintf("The quantity on hand is below the %d reserved pieces.", l.Reserved)}
		if l.First != l.Number {
			what = fault{"duplicate", fmt.Sprintf("Line %d is about the same article in the same warehouse.", l.First)}
		}
		found.fields = append(found.fields, lineFault{l.Number, what})
	}
	return nil
}

func publishImport(ctx context.Context, tx pgx.Tx, done Imported) error {
	at, err := db.New(tx).TransactionTime(ctx)
	if err != nil {
		return err
	}
	ev, err := inventory.EventImported.New("stock", at, inventory.StockImported{
		Lines: done.Lines, Created: done.Created, Changed: done.Changed, ImportedBy: caller.From(ctx).Subject,
	})
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, ev)
}
