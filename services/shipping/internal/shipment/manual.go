package shipment

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/store/db"
)

// BookByHand books a shipment outside of any saga. It waits for Timing.ByHand at most: a shipment that is returned as
// Booking is gone on with by Recover, or by the same request again. It returns the final failures of Book.
func (s *Service) BookByHand(ctx context.Context, req shipping.BookRequest) (Shipment, error) {
	if err := validateRequest(req); err != nil {
		return Shipment{}, err
	}
	// What is stored under the idempotency key is which shipment it made. How that shipment fares is its row's to say.
	shipmentID, _, err := idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (string, error) {
		return s.open(ctx, tx, req, true)
	})
	if err != nil {
		return Shipment{}, err
	}
	wait, cancel := context.WithTimeout(ctx, s.timing.ByHand)
	defer cancel()
	sh, err := s.pursue(wait, shipmentID, Progress{})
	switch {
	case err == nil:
		return sh, nil
	case wait.Err() != nil, errs.From(err).Kind.Retryable():
		s.log.InfoContext(ctx, "booking by hand goes on later", "shipment_id", shipmentID, "reason", err)
		return s.Get(ctx, shipmentID)
	default:
		return Shipment{}, err
	}
}

// CancelByHand calls one shipment off. It returns shipping.ErrShipmentNotFound and the failures of Cancel; after a
// retryable one Recover goes on.
func (s *Service) CancelByHand(ctx context.Context, shipmentID string) (Shipment, error) {
	_, _, err := idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (struct{}, error) {
		_, _, err := s.changeTx(ctx, tx, shipmentID, intend)
		return struct{}{}, err
	})
	if err != nil {
		return Shipment{}, err
	}
	if err := s.finishCancelling(ctx, shipmentID); err != nil {
		return Shipment{}, err
	}
	return s.Get(ctx, shipmentID)
}

// What Recover looks for, and how often.
const (
	recoverEvery   = 5 * time.Second
	recoverIdle    = 10 * time.Second
	recoverRows    = 100
	recoverAtATime = 4
)

// Recover goes on with what nobody else would, until ctx ends: bookings by hand that did not finish, and shipments
// whose cancellation was begun and given up. Any number of processes may do so at once.
func (s *Service) Recover(ctx context.Context) error {
	ticker := time.NewTicker(recoverEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := s.recoverIdleFor(ctx, recoverIdle); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot look for unfinished shipments", "error", err)
			}
		}
	}
}

func (s *Service) recoverIdleFor(ctx context.Context, idle time.Duration) error {
	ids, err := s.queries.ListUnfinished(ctx, db.ListUnfinishedParams{IdleSeconds: idle.Seconds(), MaxRows: recoverRows})
	if err != nil {
		return fmt.Errorf("list unfinished shipments: %w", postgres.Interpret(err))
	}
	var group errgroup.Group
	group.SetLimit(recoverAtATime)
	for _, shipmentID := range ids {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, s.timing.ByHand+s.timing.Call)
			defer cancel()
			if _, err := s.pursue(ctx, shipmentID, Progress{}); err != nil {
				s.log.InfoContext(ctx, "unfinished shipment", "shipment_id", shipmentID, "outcome", err)
			}
			return nil
		})
	}
	return group.Wait()
}
