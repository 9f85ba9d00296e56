package stock

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/store/db"
)

// Reserve holds all lines of an order, or nothing. Called again with the same lines it returns what it returned before;
// a hold that has expired is made anew. It returns ErrOutOfStock or ErrUnknownSKU with the lines in question,
// ErrReleased once the order was released (even if that came first), ErrReservationMismatch if the order holds other
// lines, and ErrInvalidReservation for lines that break a rule.
func (s *Service) Reserve(ctx context.Context, req inventory.ReserveRequest) (inventory.Reservation, error) {
	if err := validate(req); err != nil {
		return inventory.Reservation{}, err
	}
	lines, err := json.Marshal(req.Lines)
	if err != nil {
		return inventory.Reservation{}, err
	}
	var answer inventory.Reservation
	var held int
	err = s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		held = 0
		row, fulfilments, err := s.open(ctx, q, req, lines)
		if err != nil {
			return err
		}
		if fulfilments == nil {
			held = 1
			if fulfilments, err = hold(ctx, tx, q, row, req.Lines); err != nil {
				return err
			}
		}
		answer = inventory.Reservation{ReservationID: row.ID, Fulfilments: fulfilments, ExpiresAt: row.ExpiresAt}
		return nil
	})
	if errors.Is(err, inventory.ErrOutOfStock) {
		s.metrics.reservations.WithLabelValues(outcomeOutOfStock).Inc()
	}
	if err != nil {
		return inventory.Reservation{}, err
	}
	s.metrics.reached(Held, held)
	return answer, nil
}

// open makes the reservation of an order or, if there is one already, decides what another Reserve may do to it. It
// returns no fulfilments where the pieces are still to be found.
func (s *Service) open(
	ctx context.Context, q *db.Queries, req inventory.ReserveRequest, lines []byte,
) (db.Reservation, []inventory.Fulfilment, error) {
	row, err := q.OpenReservation(ctx, db.OpenReservationParams{
		ID: id.New(id.Reservation), OrderID: req.OrderID, State: string(Held), Lines: lines,
		HoldSeconds: s.holdFor.Seconds(),
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return row, nil, err
	}
	if row, err = q.LockReservation(ctx, req.OrderID); err != nil {
		return row, nil, err
	}
	state := State(row.State)
	if state == Released {
		return row, nil, move(Released, Held)
	}
	asked, fulfilments, err := loadFulfilments(ctx, q, row)
	if err != nil {
		return row, nil, err
	}
	if !slices.Equal(asked, req.Lines) {
		return row, nil, inventory.ErrReservationMismatch
	}
	if state != Expired {
		return row, fulfilments, nil
	}
	if err := q.ForgetLines(ctx, row.ID); err != nil {
		return row, nil, err
	}
	row, err = q.HoldAgain(ctx, db.HoldAgainParams{ID: row.ID, HoldSeconds: s.holdFor.Seconds()})
	return row, nil, err
}

// hold finds the pieces and holds them. From LockStock until the end of the transaction, everybody else who wants one
// of these articles waits; so there is as little as possible in between.
func hold(
	ctx context.Context, tx pgx.Tx, q *db.Queries, row db.Reservation, lines []inventory.Line,
) ([]inventory.Fulfilment, error) {
	skus := make([]string, len(lines))
	for i, l := range lines {
		skus[i] = l.SKU
	}
	rows, err := q.LockStock(ctx, skus)
	if err != nil {
		return nil, err
	}
	stock := make([]Available, len(rows))
	for i, r := range rows {
		stock[i] = Available{SKU: r.SKU, Warehouse: r.Warehouse, Priority: r.Priority, Quantity: r.Available}
	}
	fulfilments, ok := Allocate(lines, stock)
	if !ok {
		return nil, shortage(lines, stock)
	}
	if err := q.HoldStock(ctx, holdParams(row.ID, fulfilments)); err != nil {
		return nil, err
	}
	return fulfilments, publish(ctx, tx, inventory.EventHeld, row, fulfilments)
}

func holdParams(reservationID string, fulfilments []inventory.Fulfilment) db.HoldStockParams {
	p := db.HoldStockParams{ReservationID: reservationID}
	for i, f := range fulfilments {
		for _, l := range f.Lines {
			p.Fulfilments = append(p.Fulfilments, int32(i+1))
			p.SKUs = append(p.SKUs, l.SKU)
			p.Warehouses = append(p.Warehouses, f.Warehouse)
			p.Quantities = append(p.Quantities, l.Quantity)
		}
	}
	return p
}

// shortage says why lines cannot be held.
func shortage(lines []inventory.Line, stock []Available) error {
	available := make(map[string]int64, len(lines))
	for _, a := range stock {
		available[a.SKU] += a.Quantity
	}
	var unknown, short []errs.Field
	for i, l := range lines {
		switch n, known := available[l.SKU]; {
		case !known:
			unknown = append(unknown, lineField(i, "/sku", inventory.ErrUnknownSKU.Code, "There is no article %s.", l.SKU))
		case n < l.Quantity:
			short = append(short, lineField(i, "", inventory.ErrOutOfStock.Code,
				"%d of %d pieces are available.", n, l.Quantity))
		}
	}
	if len(unknown) > 0 {
		return inventory.ErrUnknownSKU.WithFields(unknown...)
	}
	return inventory.ErrOutOfStock.WithFields(short...)
}

func validate(req inventory.ReserveRequest) error {
	if err := validateOrderID(req.OrderID); err != nil {
		return err
	}
	if len(req.Lines) == 0 || len(req.Lines) > MaxLines {
		return inventory.ErrInvalidReservation.WithFields(errs.Field{
			Pointer: "/lines", Code: "out_of_range", Message: "There must be 1 to " + strconv.Itoa(MaxLines) + " lines.",
		})
	}
	var fields []errs.Field
	seen := make(map[string]bool, len(req.Lines))
	for i, l := range req.Lines {
		if !skuPattern.MatchString(l.SKU) {
			fields = append(fields, lineField(i, "/sku", "invalid", "It must be 1 to 64 letters, digits or . _ -."))
		}
		if seen[l.SKU] {
			fields = append(fields, lineField(i, "/sku", "duplicate", "It must be in one line only."))
		}
		seen[l.SKU] = true
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			fields = append(fields, lineField(i, "/quantity", "out_of_range", "It must be from 1 to %d.", MaxQuantity))
		}
	}
	if len(fields) > 0 {
		return inventory.ErrInvalidReservation.WithFields(fields...)
	}
	return nil
}

func validateOrderID(orderID string) error {
	if orderID == "" || len(orderID) > maxOrderID || !utf8.ValidString(orderID) || strings.ContainsRune(orderID, 0) {
		return inventory.ErrInvalidReservation.WithFields(errs.Field{
			Pointer: "/order_id", Code: "invalid", Message: "It must be the id of an order.",
		})
	}
	return nil
}
