package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/store/db"
)

// Config is what a Service needs.
type Config struct {
	Pool    *pgxpool.Pool
	Gateway Gateway
	// Timeout bounds one call to the provider.
	Timeout time.Duration
	// Margin is how long after its time-out a request may still arrive at the provider. It also covers how far the
	// clocks of replicas differ.
	Margin time.Duration
	// Now is the clock; time.Now unless a test says otherwise.
	Now func() time.Time
	// Wake is called after events were committed.
	Wake func()
	// Registry receives the metrics. Without one they are not exposed.
	Registry prometheus.Registerer
}

// Service authorizes, captures, cancels and refunds payments. A method that asks the provider has three parts: a
// transaction that announces the call, the call, and a transaction that records the answer. A process that dies between
// them leaves an announcement behind, by which the next try knows to look the outcome up.
type Service struct {
	Config

	states *prometheus.CounterVec
	moved  *prometheus.CounterVec
}

// NewService returns a Service.
func NewService(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	s := &Service{Config: c, states: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "payments_states_total",
		Help: "How often a payment came into a state that is told to others; a refund of a part counts each time.",
	}, []string{"state"}), moved: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "payments_amount_total",
		Help: "Money authorized, captured and refunded, in minor units of its currency.",
	}, []string{"operation", "currency"})}
	c.Registry.MustRegister(s.states, s.moved)
	for _, state := range States() {
		s.states.WithLabelValues(string(state))
	}
	return s
}

// recordTimeout bounds the transaction that records what the provider said, which runs even for a caller that has
// given up.
const recordTimeout = 5 * time.Second

// now is in UTC and as precise as PostgreSQL, so that a time reads back as it was written.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// callUntil is when a call that begins now must have reached its end, on its way to the provider included.
func (s *Service) callUntil() time.Time { return s.now().Add(s.Timeout + s.Margin) }

// calling bounds a call to the provider. A caller that gives up does not cut it short: the answer is worth more than
// the few seconds.
func (s *Service) calling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.Timeout)
}

// announce runs a transaction that comes before a call to the provider, or needs none.
func (s *Service) announce(ctx context.Context, fn func(ctx context.Context, tx *unit) error) error {
	var done *unit
	err := postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		done = &unit{Tx: tx}
		return fn(ctx, done)
	})
	if err != nil || len(done.became) == 0 {
		return err
	}
	s.Wake()
	for _, state := range done.became {
		s.states.WithLabelValues(string(state)).Inc()
	}
	for _, m := range done.moved {
		s.moved.WithLabelValues(m.operation, m.currency).Add(float64(m.amount))
	}
	return nil
}

// unit is a transaction, and what is counted if it is committed: the states that payments come into, and money that
// moves.
type unit struct {
	pgx.Tx

	became []State
	moved  []movement
}

type movement struct {
	operation, currency string
	amount              int64
}

// count notes the money that moves when a payment changes.
func (u *unit) count(before, after Payment) {
	moved := func(operation string, amount int64) {
		if amount > 0 {
			u.moved = append(u.moved, movement{operation, after.Amount.Currency, amount})
		}
	}
	if after.State == Authorized && before.State != Authorized {
		moved("authorize", after.Amount.Amount)
	}
	moved("capture", after.Captured-before.Captured)
	moved("refund", after.Refunded-before.Refunded)
}

// record runs a transaction that comes after a call to the provider. The context of fn is not that of a caller who may
// have given up.
func (s *Service) record(ctx context.Context, fn func(ctx context.Context, tx *unit) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return s.announce(ctx, fn)
}

// ofOrder locks and returns the payment of an order. There may be none.
func ofOrder(ctx context.Context, tx pgx.Tx, orderID string) (p Payment, found bool, err error) {
	row, err := db.New(tx).PaymentOfOrderForUpdate(ctx, orderID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payment{}, false, nil
	}
	if err != nil {
		return Payment{}, false, fmt.Errorf("lock the payment of %s: %w", orderID, err)
	}
	return fromRow(row), true, nil
}

// lock locks and returns a payment that is known to exist.
func lock(ctx context.Context, tx pgx.Tx, id string) (Payment, error) {
	row, err := db.New(tx).PaymentForUpdate(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Payment{}, ErrNotFound
	}
	if err != nil {
		return Payment{}, fmt.Errorf("lock payment %s: %w", id, err)
	}
	return fromRow(row), nil
}

// save is the only way in which a payment changes: it checks the move, keeps the customer's exposure in step, and
// appends the event, if there is one. The payment must be locked; the exposure is always locked after it.
func (s *Service) save(
	ctx context.Context, tx *unit, before, after Payment, event *contract.Event[payments.Changed],
) error {
	if after.State != before.State {
		if err := before.State.check(after.State); err != nil {
			return err
		}
	}
	q := db.New(tx)
	if removed := before.exposure() - after.exposure(); removed != 0 && after.CustomerID != "" {
		err := q.LowerExposure(ctx, db.LowerExposureParams{
			Removed: removed, CustomerID: after.CustomerID, Currency: after.Amount.Currency,
		})
		if err != nil {
			return fmt.Errorf("lower the exposure: %w", err)
		}
	}
	now := s.now()
	if err := q.UpdatePayment(ctx, after.update(now)); err != nil {
		return fmt.Errorf("update payment %s: %w", after.ID, err)
	}
	tx.count(before, after)
	return s.publish(ctx, tx, after, now, event)
}

func (s *Service) publish(
	ctx context.Context, tx *unit, p Payment, at time.Time, event *contract.Event[payments.Changed],
) error {
	if event == nil {
		return nil
	}
	tx.became = append(tx.became, p.State)
	ev, err := event.New(p.OrderID, at, p.changed())
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, ev)
}

// settle makes our books say what the provider's say, and returns the payment as it is then.
func (s *Service) settle(ctx context.Context, id string, charge Charge) (p Payment, err error) {
	err = s.record(ctx, func(ctx context.Context, tx *unit) error {
		before, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		after, event, err := before.follow(charge)
		if err != nil {
			return fmt.Errorf("the provider's books disagree about payment %s: %w", id, err)
		}
		p = after
		if after == before {
			return nil
		}
		return s.save(ctx, tx, before, after, event)
	})
	return p, err
}

// find looks the payment's charge up at the provider. It returns ErrNoCharge, or a retryable failure.
func (s *Service) find(ctx context.Context, p Payment) (Charge, error) {
	ctx, cancel := s.calling(ctx)
	defer cancel()
	charge, err := s.Gateway.Find(ctx, p.ref())
	if err != nil && !errors.Is(err, ErrNoCharge) {
		// Looking changes nothing, so nothing has happened, however it failed.
		return Charge{}, payments.ErrProviderUnavailable.WithCause(err)
	}
	return charge, err
}

// nothingHappened reports whether err says for certain that a call to the provider had no effect.
func nothingHappened(err error) bool { return errs.From(err).Kind == errs.Unavailable }

// refused reports whether err says that the provider will not do it, however often it is asked.
func refused(err error) bool { return errs.From(err).Kind == errs.Declined }

// retryable is what a caller is told about a call to the provider that failed.
func retryable(err error) error {
	if nothingHappened(err) {
		return payments.ErrProviderUnavailable.WithCause(err)
	}
	return payments.ErrOutcomeUnknown.WithCause(err)
}
