package shipment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/store/db"
)

// Timing is how patient the service is.
type Timing struct {
	// Call bounds one call of the carrier.
	Call time.Duration
	// Poll is the pause between two looks at a slow booking, and the time between two signs of life while the carrier is
	// being asked.
	Poll time.Duration
	// ByHand is how long an operator's request waits for a booking before it is answered "still going on".
	ByHand time.Duration
}

// lease is how long a submission keeps others from submitting, and a cancellation from believing that nothing was
// booked. A submission's last byte leaves within Call of its begin; the other half is for the way, and for a database
// that is slow to note the begin.
func (t Timing) lease() time.Duration { return 2 * t.Call }

// Service books shipments and calls them off. It is safe for concurrent use, also by several processes on one database.
type Service struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	carrier Carrier
	timing  Timing
	wake    func()
	log     *slog.Logger
	changes *prometheus.CounterVec
}

// New returns a Service. wake is called after each commit that has an event in the outbox.
func New(
	pool *pgxpool.Pool, carrier Carrier, timing Timing, wake func(), log *slog.Logger, metrics prometheus.Registerer,
) *Service {
	s := &Service{
		pool: pool, queries: db.New(pool), carrier: carrier, timing: timing, wake: wake, log: log,
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shipping_shipment_changes_total", Help: "Shipments that reached a state.",
		}, []string{"state"}),
	}
	metrics.MustRegister(s.changes)
	return s
}

// Quote asks what a shipment would cost. It returns shipping.ErrShipmentInvalid, shipping.ErrAddressInvalid,
// shipping.ErrAddressRefused or shipping.ErrCarrierUnavailable.
func (s *Service) Quote(
	ctx context.Context, warehouse string, to shipping.Address, items []shipping.Item,
) (Quote, error) {
	// A quote is of no order yet.
	const none = "quote"
	req := shipping.BookRequest{OrderID: none, FulfilmentID: none, Warehouse: warehouse, Items: items, To: to}
	if err := validateRequest(req); err != nil {
		return Quote{}, err
	}
	return s.carrier.Quote(ctx, Parcel{Warehouse: warehouse, Items: items, To: to})
}

// Get returns a shipment or shipping.ErrShipmentNotFound.
func (s *Service) Get(ctx context.Context, id string) (Shipment, error) {
	row, err := s.queries.GetShipment(ctx, id)
	if err != nil {
		return Shipment{}, missing(err)
	}
	return fromRow(row.Shipment, row.AttemptLive), nil
}

// Filter narrows a list. Empty fields admit everything.
type Filter struct {
	OrderID string
	State   State
}

// List returns up to limit shipments, newest first, that come after the position; the zero Position is the beginning.
func (s *Service) List(ctx context.Context, f Filter, after page.Position, limit int) ([]Shipment, error) {
	if after.ID == "" {
		// Later than every shipment, and every id sorts before it.
		after = page.Position{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ID: "~"}
	}
	rows, err := s.rows(ctx, f, after, int32(limit)) //nolint:gosec // The limit is small: see page.MaxLimit.
	if err != nil {
		return nil, postgres.Interpret(err)
	}
	list := make([]Shipment, len(rows))
	for i, r := range rows {
		list[i] = fromRow(r, false)
	}
	return list, nil
}

func (s *Service) rows(ctx context.Context, f Filter, after page.Position, limit int32) ([]db.Shipment, error) {
	switch {
	case f.OrderID != "":
		return s.queries.ListShipmentsOfOrder(ctx, db.ListShipmentsOfOrderParams{
			OrderID: f.OrderID, State: nullable(string(f.State)),
			BeforeTime: after.Time, BeforeID: after.ID, MaxRows: limit,
		})
	case f.State != "":
		return s.queries.ListShipmentsInState(ctx, db.ListShipmentsInStateParams{
			State: string(f.State), BeforeTime: after.Time, BeforeID: after.ID, MaxRows: limit,
		})
	default:
		return s.queries.ListShipments(ctx, db.ListShipmentsParams{
			BeforeTime: after.Time, BeforeID: after.ID, MaxRows: limit,
		})
	}
}

// change is the one way a shipment's row changes: locked, altered by edit, and written together with the news that
// edit returns. An edit that finds nothing to do returns unchanged; the row is then returned as it is.
func (s *Service) change(ctx context.Context, id string, edit func(*Shipment) ([]news, error)) (Shipment, error) {
	var sh Shipment
	var published bool
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		var err error
		sh, published, err = s.changeTx(ctx, tx, id, edit)
		return err
	})
	if err != nil {
		return Shipment{}, err
	}
	if published {
		s.changes.WithLabelValues(string(sh.State)).Inc()
		s.wake()
	}
	return sh, nil
}

func (s *Service) changeTx(
	ctx context.Context, tx pgx.Tx, id string, edit func(*Shipment) ([]news, error),
) (sh Shipment, published bool, err error) {
	q := s.queries.WithTx(tx)
	row, err := q.LockShipment(ctx, id)
	if err != nil {
		return Shipment{}, false, missing(err)
	}
	sh = fromRow(row.Shipment, row.AttemptLive)
	told, err := edit(&sh)
	if errors.Is(err, errUnchanged) {
		return sh, false, nil
	}
	if err != nil {
		return Shipment{}, false, err
	}
	at, err := q.UpdateShipment(ctx, sh.toRow(s.timing.lease()))
	if err != nil {
		return Shipment{}, false, fmt.Errorf("update shipment %s: %w", id, err)
	}
	sh.UpdatedAt = at.UTC()
	list := make([]cloudevents.Event, len(told))
	for i, n := range told {
		if list[i], err = n.event.New(sh.OrderID, sh.UpdatedAt, n.data); err != nil {
			return Shipment{}, false, err
		}
	}
	return sh, len(list) > 0, outbox.Append(ctx, tx, list...)
}

// news is an event about a shipment as it was when the event happened.
type news struct {
	event contract.Event[shipping.Changed]
	data  shipping.Changed
}

// errUnchanged is how an edit says that there is nothing to write.
var errUnchanged = errors.New("shipment: unchanged")

// detached returns a context for writing down what a carrier said: that must not be lost because the one who asked is
// no longer interested.
func (s *Service) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.timing.Call)
}

func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return shipping.ErrShipmentNotFound
	}
	return postgres.Interpret(err)
}
