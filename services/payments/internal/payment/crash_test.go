package payment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// A process dies between announcing a call and making it, or between the answer and recording it. Temporal runs the
// activity again, and money moves exactly once.
func TestAnActivityWhoseProcessDiedIsRunAgain(t *testing.T) {
	t.Parallel()
	steps := map[string]struct {
		prepare func(*order)
		run     func(*order) error
		state   payment.State
	}{
		"authorize": {
			func(*order) {}, func(o *order) error { _, err := o.authorize(); return err }, payment.Authorized,
		},
		"capture": {
			func(o *order) { o.authorized() }, func(o *order) error { _, err := o.capture(); return err }, payment.Captured,
		},
		"void": {
			func(o *order) { o.authorized() }, func(o *order) error { _, err := o.cancel(); return err }, payment.Voided,
		},
		"refund": {
			func(o *order) { o.captured() }, func(o *order) error { _, err := o.cancel(); return err }, payment.Refunded,
		},
	}
	for operation, step := range steps {
		for when, name := range map[moment]string{beforeCall: "before", afterCall: "after"} {
			t.Run(operation+" "+name+" the call", func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				o := b.order(sandbox.TokenVisa)
				step.prepare(o)
				crash(b.network, operation, when, func() { _ = step.run(o) })
				require.NotEqual(t, step.state, o.row().State, "the test's premise")

				err := step.run(o)
				if operation == "authorize" && when == beforeCall {
					require.ErrorIs(t, err, payment.ErrInFlight, "nobody can tell a dead process from a slow one")
					b.attemptsEnd()
					err = step.run(o)
				}
				require.NoError(t, err)
				o.requireState(step.state)
				c := o.charge()
				require.Equal(t, int64(1999), c.Authorized)
				require.LessOrEqual(t, c.Captured, c.Authorized)
				require.LessOrEqual(t, c.Refunded, c.Captured)
			})
		}
	}
}

func TestAnAnswerThatCannotBeRecordedIsFoundLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa)
	// The table is away when the provider's answer arrives.
	rename := func(from, to string) {
		_, err := b.pool.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to)
		require.NoError(t, err)
	}
	b.network.after = func(operation string) {
		if operation == "authorize" {
			rename("payments", "hidden")
		}
	}
	_, err := o.authorize()
	require.True(t, errs.From(err).Kind.Retryable())
	rename("hidden", "payments")
	o.requireState(payment.Authorizing)

	b.network.after = nil
	o.authorized()
	require.Len(t, o.charges(), 1)
}

// PostgreSQL may give a transaction up so that another can go on, and it is then run again.
func TestTransactionThatIsRunAgainForgetsWhatItFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.order(sandbox.TokenVisa).captured()
	_, err := b.pool.Exec(t.Context(), `
		CREATE SEQUENCE runs;
		CREATE FUNCTION give_up_once() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('runs') = 1 THEN RAISE EXCEPTION USING ERRCODE = '40P01'; END IF;
			RETURN NULL;
		END $$;
		CREATE TRIGGER give_up_once AFTER INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION give_up_once()`)
	require.NoError(t, err)
	_, err = o.cancel()
	require.NoError(t, err)
	o.requireState(payment.Refunded)
	o.requireNothingHeld()
}
