package order

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// Service places, shows and changes orders.
type Service struct {
	pool    *pgxpool.Pool
	keys    seal.Keyring
	endings *endings.Board
	metrics *Metrics
	// published is called after each commit that left something in the outbox.
	published func()
}

// NewService returns a service. Published is called after each commit that left something in the outbox.
func NewService(
	pool *pgxpool.Pool, keys seal.Keyring, board *endings.Board, metrics *Metrics, published func(),
) *Service {
	return &Service{pool: pool, keys: keys, endings: board, metrics: metrics, published: published}
}

// Place accepts an order of the caller in ctx: once it returns, the order will be worked on, whatever crashes. A
// repetition of an idempotent request returns the order as it was answered first, and replayed. It returns
// orders.ErrInvalidOrder or a failure of package idempotency.
func (s *Service) Place(ctx context.Context, asked orders.Order) (placed Order, replayed bool, err error) {
	if err := orders.Validate(asked); err != nil {
		return Order{}, false, err
	}
	total, err := asked.Total()
	if err != nil {
		return Order{}, false, fmt.Errorf("order: total: %w", err)
	}
	sealed, err := s.seal(asked)
	if err != nil {
		return Order{}, false, err
	}
	placed, replayed, err = idempotency.Run(ctx, s.pool, func(tx pgx.Tx) (Order, error) {
		now := clock()
		o := Order{
			ID: id.New(id.Order), Owner: caller.From(ctx).Subject, CustomerID: asked.CustomerID,
			Status: Pending, Payment: PaymentNone, Fulfilment: FulfilmentNone,
			Total: total, Lines: asked.Lines, ShippingAddress: asked.ShippingAddress,
			PlacedAt: now, UpdatedAt: now,
		}
		return o, insert(ctx, tx, o, sealed)
	})
	if err != nil {
		return Order{}, false, postgres.Interpret(err)
	}
	if !replayed {
		s.published()
		s.metrics.placed.Inc()
	}
	return placed, replayed, nil
}

func (s *Service) seal(asked orders.Order) ([]byte, error) {
	plain, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("order: encode: %w", err)
	}
	return s.keys.Seal(plain)
}

func insert(ctx context.Context, tx pgx.Tx, o Order, sealed []byte) error {
	event, err := placedEvent(o.ID, o.PlacedAt, sealed)
	if err != nil {
		return err
	}
	err = db.New(tx).PlaceOrder(ctx, db.PlaceOrderParams{
		ID: o.ID, Owner: o.Owner, CustomerID: o.CustomerID, Status: string(o.Status), SealedOrder: sealed,
		Currency: o.Total.Currency, Total: o.Total.Amount, Lines: o.Lines, ShippingAddress: o.ShippingAddress,
		PlacedAt: o.PlacedAt, Type: EntryPlaced, Message: "The order was placed.", EventID: event.ID(),
	})
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, event)
}

func placedEvent(orderID string, at time.Time, sealed []byte) (cloudevents.Event, error) {
	return orders.EventPlaced.New(orderID, at, orders.Placed{OrderID: orderID, SealedOrder: sealed, PlacedAt: at})
}

// Get returns an order that the caller in ctx may see, or orders.ErrOrderNotFound.
func (s *Service) Get(ctx context.Context, orderID string) (Order, error) {
	if !id.Valid(id.Order, orderID) {
		return Order{}, orders.ErrOrderNotFound
	}
	o, err := found(db.New(s.pool).GetOrder(ctx, orderID))
	if err != nil {
		return Order{}, err
	}
	return o, visible(ctx, o)
}

// found turns a row into an order, and no row into orders.ErrOrderNotFound.
func found(row db.Order, err error) (Order, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return Order{}, orders.ErrOrderNotFound
	}
	if err != nil {
		return Order{}, postgres.Interpret(err)
	}
	return fromRow(row), nil
}

// visible hides the orders of others: to a caller who may not see one, it does not exist.
func visible(ctx context.Context, o Order) error {
	if c := caller.From(ctx); o.Owner != c.Subject && !c.MaySeeEverything() {
		return orders.ErrOrderNotFound
	}
	return nil
}

// Settled returns how a board of waiters sees in the pool's database which orders have settled.
func Settled(pool *pgxpool.Pool) endings.Look {
	return func(ctx context.Context, orderIDs []string) ([]string, error) {
		settled, err := db.New(pool).ListOthers(ctx, db.ListOthersParams{
			Ids: orderIDs, States: []string{string(Pending), string(Cancelling)},
		})
		return settled, postgres.Interpret(err)
	}
}

// Await returns the order once it has settled. If it does not within limit, or if giveUp is closed before, it returns
// the order as it was last seen.
func (s *Service) Await(
	ctx context.Context, orderID string, limit time.Duration, giveUp <-chan struct{},
) (Order, error) {
	settled, stop := s.endings.Watch(orderID)
	defer stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		o, err := s.Get(ctx, orderID)
		if err != nil || o.Status.Settled() {
			return o, err
		}
		select {
		case <-settled:
		case <-deadline.C:
			return o, nil
		case <-giveUp:
			return o, nil
		case <-ctx.Done():
			return o, ctx.Err()
		}
	}
}

// clock returns the time as the database keeps it.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
