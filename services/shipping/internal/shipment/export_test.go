package shipment

import (
	"context"
	"errors"
	"time"
)

// Move tries a transition of the state machine.
func Move(from, to State) error {
	sh := Shipment{State: from}
	err := sh.move(to)
	if err == nil && sh.State != to {
		return errors.New("the state did not change")
	}
	return err
}

// RecoverNow is one round of Recover that takes every unfinished shipment.
func (s *Service) RecoverNow(ctx context.Context) error { return s.recoverIdleFor(ctx, -time.Minute) }
