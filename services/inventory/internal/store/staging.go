package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// StagedLine is one line of an import.
type StagedLine struct {
	// Number of the line in the input.
	Number    int64
	SKU       string
	Warehouse string
	OnHand    int64
}

// WrongLine is a staged line that contradicts another one, or what is stored.
type WrongLine struct {
	Number int64
	// First is the number of the first line about the same article in the same warehouse: another one if this is a
	// duplicate.
	First int64
	// Reserved is more than the line leaves on hand, or 0 if that is not what is wrong.
	Reserved int64
}

// Staging holds the lines of one import beside the stock, until its transaction ends.
type Staging struct{ tx pgx.Tx }

// Stage copies all lines that next returns into the database, and adds the warehouses that are new. An import may take
// longer than other statements, above all because its lines come over the network.
func Stage(ctx context.Context, tx pgx.Tx, next func() (StagedLine, bool)) (Staging, error) {
	_, err := tx.Exec(ctx, `
		SET LOCAL statement_timeout = '15min';
		CREATE TEMPORARY TABLE stock_import (
			line bigint NOT NULL, sku text COLLATE "C" NOT NULL, warehouse text COLLATE "C" NOT NULL, on_hand bigint NOT NULL
		) ON COMMIT DROP`)
	if err != nil {
		return Staging{}, err
	}
	rows := pgx.CopyFromFunc(func() ([]any, error) {
		l, ok := next()
		if !ok {
			return nil, nil
		}
		return []any{l.Number, l.SKU, l.Warehouse, l.OnHand}, nil
	})
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"stock_import"}, []string{"line", "sku", "warehouse", "on_hand"}, rows)
	if err != nil {
		return Staging{}, err
	}
	// Warehouses come first in the order of locks.
	_, err = tx.Exec(ctx, `
		ANALYZE stock_import;
		INSERT INTO warehouses (code) SELECT DISTINCT warehouse FROM stock_import ORDER BY warehouse
		ON CONFLICT (code) DO NOTHING`)
	return Staging{tx}, err
}

// Compare locks the rows of stock that are to change, in the order in which everybody locks them, and returns the first
// wrong lines, up to limit, in order, with the number of all: those about something that an earlier line is about, and
// those that would leave less on hand than is reserved.
func (s Staging) Compare(ctx context.Context, limit int) ([]WrongLine, int64, error) {
	_, err := s.tx.Exec(ctx, `
		CREATE TEMPORARY TABLE stock_change ON COMMIT DROP AS
			SELECT i.line, s.sku, s.warehouse, i.on_hand, s.reserved
			FROM stock s JOIN stock_import i ON i.sku = s.sku AND i.warehouse = s.warehouse
			WHERE s.on_hand <> i.on_hand
			ORDER BY s.sku, s.warehouse FOR NO KEY UPDATE OF s;
		ANALYZE stock_change`)
	if err != nil {
		return nil, 0, err
	}
	rows, err := s.tx.Query(ctx, `
		SELECT line, first_line, coalesce(reserved, 0), count(*) OVER ()
		FROM (SELECT line, min(line) OVER (PARTITION BY sku, warehouse) AS first_line FROM stock_import) lines
		LEFT JOIN (SELECT line, reserved FROM stock_change WHERE on_hand < reserved) short USING (line)
		WHERE line <> first_line OR reserved IS NOT NULL
		ORDER BY line LIMIT $1`, limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	wrong, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (WrongLine, error) {
		var w WrongLine
		return w, row.Scan(&w.Number, &w.First, &w.Reserved, &total)
	})
	return wrong, total, err
}

// Apply sets the quantities on hand and returns how many rows are new and how many have another value now. It needs
// Compare. A row that somebody else adds in between is set, too.
func (s Staging) Apply(ctx context.Context) (created, changed int64, err error) {
	updated, err := s.tx.Exec(ctx, `
		UPDATE stock s SET on_hand = c.on_hand, updated_at = now()
		FROM stock_change c WHERE c.sku = s.sku AND c.warehouse = s.warehouse`)
	if err != nil {
		return 0, 0, err
	}
	inserted, err := s.tx.Exec(ctx, `
		INSERT INTO stock (sku, warehouse, on_hand)
		SELECT i.sku, i.warehouse, i.on_hand FROM stock_import i
		WHERE NOT EXISTS (SELECT FROM stock s WHERE s.sku = i.sku AND s.warehouse = i.warehouse)
		ORDER BY i.sku, i.warehouse
		ON CONFLICT (sku, warehouse) DO UPDATE SET on_hand = excluded.on_hand, updated_at = now()`)
	if err != nil {
		return 0, 0, err
	}
	return inserted.RowsAffected(), updated.RowsAffected(), nil
}
