package inventory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory"
)

var (
	lines       = []inventory.Line{{SKU: "MUG-BLUE", Quantity: 3}, {SKU: "PEN", Quantity: 1}}
	fulfilments = []inventory.Fulfilment{{ID: "1", Warehouse: "BER", Lines: lines}}
)

func TestWireTypesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	contracttest.Golden(t, "reserve_request", inventory.ReserveRequest{OrderID: "ord_1", Lines: lines})
	contracttest.Golden(t, "reservation", inventory.Reservation{
		ReservationID: "rsv_1", Fulfilments: fulfilments, ExpiresAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	})
	contracttest.Golden(t, "commit_request", inventory.CommitRequest{OrderID: "ord_1"})
	contracttest.Golden(t, "release_request", inventory.ReleaseRequest{OrderID: "ord_1"})
	contracttest.Golden(t, "ack", inventory.Ack{})
	contracttest.Golden(t, "reservation_changed", inventory.ReservationChanged{
		ReservationID: "rsv_1", OrderID: "ord_1", State: "held", Fulfilments: fulfilments,
	})
	contracttest.Golden(t, "stock_changed", inventory.StockChanged{
		SKU: "PEN", Warehouse: "BER", OnHand: 7, Reserved: 2, Reason: "found behind the shelf", ChangedBy: "anna",
	})
	contracttest.Golden(t, "stock_imported", inventory.StockImported{
		Lines: 100_000, Created: 10, Changed: 500, ImportedBy: "anna",
	})
}

func TestNamesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	failures := []*errs.Error{
		inventory.ErrOutOfStock, inventory.ErrUnknownSKU, inventory.ErrInvalidReservation, inventory.ErrReleased,
		inventory.ErrCommitted, inventory.ErrReservationNotFound, inventory.ErrReservationMismatch,
	}
	contracttest.Contract(t,
		contracttest.Stream(inventory.Stream),
		contracttest.Activity(inventory.Reserve),
		contracttest.Activity(inventory.Commit),
		contracttest.Activity(inventory.Release),
		contracttest.Event(inventory.EventHeld),
		contracttest.Event(inventory.EventCommitted),
		contracttest.Event(inventory.EventReleased),
		contracttest.Event(inventory.EventExpired),
		contracttest.Event(inventory.EventAdjusted),
		contracttest.Event(inventory.EventImported),
		contracttest.Failures(failures...),
	)
	for _, failure := range failures {
		require.False(t, failure.Kind.Retryable(), "%s is final", failure.Code)
	}
}
