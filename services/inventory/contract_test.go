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
	require.Equal(t, "inventory", inventory.TaskQueue)
	require.Equal(t, "INVENTORY", inventory.Stream.Name)
	require.Equal(t, []string{"inventory.>"}, inventory.Stream.Subjects)

	require.Equal(t, []string{"inventory/Reserve", "inventory/Commit", "inventory/Release"},
		[]string{inventory.Reserve.Name, inventory.Commit.Name, inventory.Release.Name})
	for _, queue := range []string{inventory.Reserve.Queue, inventory.Commit.Queue, inventory.Release.Queue} {
		require.Equal(t, inventory.TaskQueue, queue)
	}
	require.Equal(t, []string{
		"inventory.reservation.held.v1", "inventory.reservation.committed.v1", "inventory.reservation.released.v1",
		"inventory.reservation.expired.v1", "inventory.stock.adjusted.v1", "inventory.stock.imported.v1",
	}, []string{
		inventory.EventHeld.Type, inventory.EventCommitted.Type, inventory.EventReleased.Type,
		inventory.EventExpired.Type, inventory.EventAdjusted.Type, inventory.EventImported.Type,
	})
}

func TestFailuresStayAsTheyAre(t *testing.T) {
	t.Parallel()
	failures := map[string]*errs.Error{
		"out_of_stock conflict":           inventory.ErrOutOfStock,
		"unknown_sku invalid":             inventory.ErrUnknownSKU,
		"invalid_reservation invalid":     inventory.ErrInvalidReservation,
		"reservation_released conflict":   inventory.ErrReleased,
		"reservation_committed conflict":  inventory.ErrCommitted,
		"reservation_not_found not_found": inventory.ErrReservationNotFound,
		"reservation_mismatch conflict":   inventory.ErrReservationMismatch,
	}
	for want, failure := range failures {
		require.Equal(t, want, failure.Code+" "+string(failure.Kind))
		require.False(t, failure.Kind.Retryable(), "%s is final", failure.Code)
	}
}
