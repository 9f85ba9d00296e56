package payment_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

const races = 50

const patience = 30 * time.Second

// together runs a step and the undo at the same time. The undo is repeated, as a saga does, until it is done.
func together(t *testing.T, o *order, step func() error) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() { _ = step() })
	wg.Go(func() {
		for {
			_, err := o.cancel()
			if err == nil {
				return
			}
			if !errs.From(err).Kind.Retryable() {
				t.Errorf("the undo failed: %v", err)
				return
			}
		}
	})
	wg.Wait()
}

func TestCancelRacingAuthorizeLeavesNothingHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range races {
		o := b.order(sandbox.TokenVisa)
		together(t, o, func() error { _, err := o.authorize(); return err })
		o.requireNothingHeld()
		o.requireState(payment.Voided)
		require.Zero(t, o.exposure())
	}
}

func TestCancelRacingCaptureLeavesNothingTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ends := map[string]int{}
	for range races {
		o := b.order(sandbox.TokenVisa).authorized()
		together(t, o, func() error { _, err := o.capture(); return err })
		o.requireNothingHeld()
		ends[string(o.row().State)]++
		require.Zero(t, o.exposure())
	}
	require.Equal(t, races, ends["voided"]+ends["refunded"], ends)
}

// The same two races with the order forced: one side waits in its call until the other is done.
func TestCancelWhileAuthorizeIsAtTheProvider(t *testing.T) {
	t.Parallel()
	for _, when := range []moment{beforeCall, afterCall} {
		b := setup(t)
		o := b.order(sandbox.TokenVisa)
		tried := false
		undo := func(operation string) {
			if operation != "authorize" {
				return
			}
			tried = true
			_, err := o.cancel()
			if when == beforeCall {
				require.True(t, errs.From(err).Kind.Retryable(), "it may still be made: %v", err)
			} else {
				require.NoError(t, err)
			}
		}
		if when == beforeCall {
			b.network.before = undo
		} else {
			b.network.after = undo
		}
		_, err := o.authorize()
		require.Error(t, err)
		require.True(t, tried)
		_, err = o.cancel()
		require.NoError(t, err)
		o.requireNothingHeld()
	}
}

func TestCancelWhileCaptureIsAtTheProvider(t *testing.T) {
	t.Parallel()
	for _, when := range []moment{beforeCall, afterCall} {
		b := setup(t)
		o := b.order(sandbox.TokenVisa).authorized()
		undo := func(operation string) {
			if operation == "capture" {
				_, err := o.cancel()
				require.NoError(t, err)
			}
		}
		if when == beforeCall {
			b.network.before = undo
		} else {
			b.network.after = undo
		}
		_, err := o.capture()
		require.Error(t, err)
		o.requireNothingHeld()
	}
}

func TestNoAttemptBeginsOnceTheUndoHasBegun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa)
	b.network.fail("authorize", requestLost)
	_, err := o.authorize()
	require.ErrorIs(t, err, payments.ErrOutcomeUnknown)
	b.attemptsEnd()

	// The undo begins, and cannot reach the provider, while the authorization is being looked up.
	begun := false
	b.network.before = func(operation string) {
		if operation == "find" && !begun {
			begun = true
			b.network.fail("find", unreachable)
			_, err := o.cancel()
			require.ErrorIs(t, err, payments.ErrProviderUnavailable)
		}
	}
	_, err = o.authorize()
	require.ErrorIs(t, err, payments.ErrCancelled)
	require.Equal(t, 1, b.network.called("authorize"))
	_, err = o.cancel()
	require.NoError(t, err)
	o.requireState(payment.Voided)
}

// Neither request can see the other's refund, and no lock on a payment keeps them apart.
func TestOneKeyForRefundsOfTwoPaymentsAtOnceIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.order(sandbox.TokenVisa).captured(), b.order(sandbox.TokenVisa).captured()
	other, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = other.Rollback(t.Context()) }()
	_, err = other.Exec(t.Context(), `
		INSERT INTO refunds (id, payment_id, origin, requested_by, idempotency_key, fingerprint, amount, reason, state,
			created_at, updated_at)
		VALUES ('ref_other', $1, 'http', 'anna', 'k', '', 100, 'r', 'pending', now(), now())`, first.row().ID)
	require.NoError(t, err)

	answer := make(chan error, 1)
	go func() { _, err := second.refund("k", 100); answer <- err }()
	require.Eventually(t, func() bool {
		var waiting bool
		err := b.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
		return err == nil && waiting
	}, patience, 5*time.Millisecond)
	require.NoError(t, other.Commit(t.Context()))
	require.ErrorIs(t, <-answer, idempotency.ErrReused)
	require.Zero(t, second.charge().Refunded)
}
