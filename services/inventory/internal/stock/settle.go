package stock

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/store/db"
)

// Commit takes what an order holds off the shelves for good. A hold that has expired is taken from the same warehouses,
// because that is where parcels are waited for; if they cannot give it any more, Commit returns ErrOutOfStock with the
// lines in question. It returns ErrReleased for what was given back and ErrReservationNotFound where nothing was held.
func (s *Service) Commit(ctx context.Context, req inventory.CommitRequest) (inventory.Ack, error) {
	if err := validateOrderID(req.OrderID); err != nil {
		return inventory.Ack{}, err
	}
	var moved int
	err := s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		moved = 0
		row, err := q.LockReservation(ctx, req.OrderID)
		if errors.Is(err, pgx.ErrNoRows) {
			return inventory.ErrReservationNotFound
		}
		if err != nil {
			return err
		}
		from := State(row.State)
		if from == Committed {
			return nil
		}
		moved = 1
		asked, err := moveTo(ctx, tx, q, row, Committed)
		if err != nil {
			return err
		}
		if from == Held {
			return q.CommitStock(ctx, row.ID)
		}
		return takeAgain(ctx, q, row.ID, asked)
	})
	if err != nil {
		return inventory.Ack{}, err
	}
	s.metrics.reached(Committed, moved)
	return inventory.Ack{}, nil
}

// moveTo changes the state and publishes that. It comes before stock is touched, so that stock is locked briefly.
func moveTo(ctx context.Context, tx pgx.Tx, q *db.Queries, row db.Reservation, to State) ([]inventory.Line, error) {
	if err := move(State(row.State), to); err != nil {
		return nil, err
	}
	asked, fulfilments, err := loadFulfilments(ctx, q, row)
	if err != nil {
		return nil, err
	}
	if row, err = q.MoveReservation(ctx, db.MoveReservationParams{ID: row.ID, State: string(to)}); err != nil {
		return nil, err
	}
	event := inventory.EventCommitted
	if to == Released {
		event = inventory.EventReleased
	}
	return asked, publish(ctx, tx, event, row, fulfilments)
}

// takeAgain takes what is not held any more.
func takeAgain(ctx context.Context, q *db.Queries, reservationID string, asked []inventory.Line) error {
	rows, err := q.LockStockOfReservation(ctx, reservationID)
	if err != nil {
		return err
	}
	var short []errs.Field
	for _, r := range rows {
		if r.Available < r.Quantity {
			i := slices.IndexFunc(asked, func(l inventory.Line) bool { return l.SKU == r.SKU })
			short = append(short, lineField(i, "", inventory.ErrOutOfStock.Code,
				"%d of %d pieces are available in warehouse %s.", r.Available, r.Quantity, r.Warehouse))
		}
	}
	if len(short) > 0 {
		return inventory.ErrOutOfStock.WithFields(short...)
	}
	return q.TakeStock(ctx, reservationID)
}

// Release gives back what an order holds. Where nothing was reserved it leaves a mark, so that a Reserve which comes
// late is refused. It returns ErrCommitted for what has left already.
func (s *Service) Release(ctx context.Context, req inventory.ReleaseRequest) (inventory.Ack, error) {
	if err := validateOrderID(req.OrderID); err != nil {
		return inventory.Ack{}, err
	}
	var moved int
	err := s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		moved = 0
		_, err := q.OpenReservation(ctx, db.OpenReservationParams{
			ID: id.New(id.Reservation), OrderID: req.OrderID, State: string(Released), Lines: []byte("[]"),
		})
		if !errors.Is(err, pgx.ErrNoRows) {
			return err // Nothing was reserved and no event tells of it: only the mark is new.
		}
		row, err := q.LockReservation(ctx, req.OrderID)
		if err != nil {
			return err
		}
		from := State(row.State)
		if from == Released {
			return nil
		}
		moved = 1
		if _, err := moveTo(ctx, tx, q, row, Released); err != nil {
			return err
		}
		if from != Held {
			return nil
		}
		return q.ReturnStock(ctx, []string{row.ID})
	})
	if err != nil {
		return inventory.Ack{}, err
	}
	s.metrics.reached(Released, moved)
	return inventory.Ack{}, nil
}

// ExpireBatch is how many reservations one call of Expire gives back.
const ExpireBatch = 500

// Expire gives back what is held longer than it may be, up to ExpireBatch reservations, and returns how many there
// were. If it returns ExpireBatch there may be more. Several may run at the same time: they share the work.
func (s *Service) Expire(ctx context.Context) (int, error) {
	var expired int
	err := s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		rows, err := q.ExpireOverdue(ctx, ExpireBatch)
		expired = len(rows)
		if err != nil || expired == 0 {
			return err
		}
		ids := make([]string, len(rows))
		for i, r := range rows {
			ids[i] = r.ID
		}
		events, err := expiredEvents(ctx, q, rows, ids)
		if err != nil {
			return err
		}
		if err := outbox.Append(ctx, tx, events...); err != nil {
			return err
		}
		return q.ReturnStock(ctx, ids)
	})
	if err != nil {
		return 0, fmt.Errorf("expire reservations: %w", err)
	}
	s.metrics.reached(Expired, expired)
	return expired, nil
}

func expiredEvents(
	ctx context.Context, q *db.Queries, rows []db.Reservation, ids []string,
) ([]cloudevents.Event, error) {
	reservations, err := withFulfilments(ctx, q, rows, ids)
	if err != nil {
		return nil, err
	}
	events := make([]cloudevents.Event, len(reservations))
	for i, r := range reservations {
		events[i], err = inventory.EventExpired.New(r.OrderID, r.UpdatedAt, inventory.ReservationChanged{
			ReservationID: r.ID, OrderID: r.OrderID, State: string(r.State), Fulfilments: r.Fulfilments,
		})
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

// withFulfilments adds the lines to many reservations with one query.
func withFulfilments(
	ctx context.Context, q *db.Queries, rows []db.Reservation, ids []string,
) ([]Reservation, error) {
	lines, err := q.ReservationLines(ctx, ids)
	if err != nil {
		return nil, err
	}
	byReservation := make(map[string][]db.ReservationLine, len(rows))
	for _, l := range lines {
		byReservation[l.ReservationID] = append(byReservation[l.ReservationID], l)
	}
	reservations := make([]Reservation, len(rows))
	for i, r := range rows {
		asked, err := askedFor(r)
		if err != nil {
			return nil, err
		}
		reservations[i] = Reservation{
			ID: r.ID, OrderID: r.OrderID, State: State(r.State), Lines: asked,
			Fulfilments: fulfilmentsOf(asked, byReservation[r.ID]),
			ExpiresAt:   r.ExpiresAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		}
	}
	return reservations, nil
}
