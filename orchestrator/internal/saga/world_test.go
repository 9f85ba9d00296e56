package saga_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

// The calls of a saga, as they are written in a world's book.
const (
	reserve       = "inventory/Reserve"
	release       = "inventory/Release"
	commit        = "inventory/Commit"
	authorize     = "payments/Authorize"
	capture       = "payments/Capture"
	cancelPayment = "payments/Cancel"
	book1         = "shipping/Book 1"
	book2         = "shipping/Book 2"
	cancelBooking = "shipping/Cancel"
	confirm       = "orders/Confirm"
	closeOrder    = "orders/Close"
	park          = "orders/Park"
)

// key names a call by its request.
func key(req any) string {
	switch r := req.(type) {
	case inventory.ReserveRequest:
		return reserve
	case inventory.ReleaseRequest:
		return release
	case inventory.CommitRequest:
		return commit
	case payments.AuthorizeRequest:
		return authorize
	case payments.CaptureRequest:
		return capture
	case payments.CancelRequest:
		return cancelPayment
	case shipping.BookRequest:
		return "shipping/Book " + r.FulfilmentID
	case shipping.CancelRequest:
		return cancelBooking
	case orders.ConfirmRequest:
		return confirm
	case orders.CloseRequest:
		return closeOrder
	case orders.ParkRequest:
		return park
	default:
		panic(fmt.Sprintf("no service knows %T", req))
	}
}

// world holds the four services' books about one order, in memory. Like the real ones, its services are idempotent and
// refuse what comes after its undo.
type world struct {
	script *script
	// shown are the states in the search attribute, one after the other.
	shown []saga.State

	mu    sync.Mutex
	calls []string
	// late are the requests that workers have in hand.
	late map[int]any
	seq  int

	fulfilments []inventory.Fulfilment
	stock       string // "", held, committed or released
	commits     int
	payment     string // "", authorized, captured, voided, refunded or nothing
	captures    int
	shipments   map[string]string // booked or cancelled, by fulfilment
	bookings    map[string]int
	order       string // pending, needs_attention, confirmed, cancelled or failed
	ends        int
	closed      orders.CloseRequest
	refused     []string
}

func newWorld(fulfilments int) *world {
	w := &world{
		script: newScript(), late: make(map[int]any),
		shipments: make(map[string]string), bookings: make(map[string]int), order: "pending",
	}
	for i := range fulfilments {
		w.fulfilments = append(w.fulfilments, inventory.Fulfilment{
			ID: fmt.Sprint(i + 1), Warehouse: fmt.Sprintf("W%d", i+1),
			Lines: []inventory.Line{{SKU: fmt.Sprintf("SKU-%d", i+1), Quantity: 1}},
		})
	}
	return w
}

// register offers the services' activities under the names of their contracts.
func (w *world) register(r worker.ActivityRegistry) {
	inventory.Reserve.Register(r, serve[inventory.ReserveRequest, inventory.Reservation](w))
	inventory.Release.Register(r, serve[inventory.ReleaseRequest, inventory.Ack](w))
	inventory.Commit.Register(r, serve[inventory.CommitRequest, inventory.Ack](w))
	payments.Authorize.Register(r, serve[payments.AuthorizeRequest, payments.Authorization](w))
	payments.Capture.Register(r, serve[payments.CaptureRequest, payments.Captured](w))
	payments.Cancel.Register(r, serve[payments.CancelRequest, payments.Cancellation](w))
	shipping.Book.Register(r, serve[shipping.BookRequest, shipping.Booking](w))
	shipping.Cancel.Register(r, serve[shipping.CancelRequest, shipping.Ack](w))
	orders.Confirm.Register(r, serve[orders.ConfirmRequest, orders.Ack](w))
	orders.Close.Register(r, serve[orders.CloseRequest, orders.Ack](w))
	orders.Park.Register(r, serve[orders.ParkRequest, orders.Ack](w))
}

func serve[Req, Res any](w *world) func(context.Context, Req) (Res, error) {
	return func(_ context.Context, req Req) (Res, error) {
		var none Res
		k := key(req)
		a := w.script.serve(k)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls = append(w.calls, k)
		if a.fail != nil {
			return none, a.fail
		}
		res, err := w.do(req)
		if a.done != nil {
			a.done()
		}
		if err != nil {
			w.refused = append(w.refused, fmt.Sprintf("%s: %v", k, err))
			return none, err
		}
		return res.(Res), nil
	}
}

// expect notes that a worker has a request in hand, forget that it is done with it.
func (w *world) expect(req any, a attempt) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	if a.fail == nil {
		w.late[w.seq] = req
	}
	return w.seq
}

func (w *world) forget(effect int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.late, effect)
}

// settle lets everything happen that workers still have in hand although the saga has ended.
func (w *world) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, effect := range slices.Sorted(maps.Keys(w.late)) {
		_, _ = w.do(w.late[effect])
	}
}

// do is what the services do. A result that is nil goes with an error.
func (w *world) do(req any) (any, error) {
	switch r := req.(type) {
	case inventory.ReserveRequest:
		if w.stock == "released" {
			return nil, inventory.ErrReleased
		}
		if w.stock == "" {
			w.stock = "held"
		}
		return inventory.Reservation{ReservationID: "rsv_1", Fulfilments: w.fulfilments}, nil
	case inventory.CommitRequest:
		switch w.stock {
		case "":
			return nil, inventory.ErrReservationNotFound
		case "released":
			return nil, inventory.ErrReleased
		case "held":
			w.stock = "committed"
			w.commits++
		}
		return inventory.Ack{}, nil
	case inventory.ReleaseRequest:
		if w.stock == "committed" {
			return nil, inventory.ErrCommitted
		}
		w.stock = "released"
		return inventory.Ack{}, nil
	case shipping.BookRequest:
		if w.shipments[r.FulfilmentID] == "cancelled" {
			return nil, shipping.ErrCancelled
		}
		if w.shipments[r.FulfilmentID] == "" {
			w.bookings[r.FulfilmentID]++
		}
		w.shipments[r.FulfilmentID] = "booked"
		return shipping.Booking{ShipmentID: "shp_" + r.FulfilmentID}, nil
	case shipping.CancelRequest:
		for _, id := range r.FulfilmentIDs {
			w.shipments[id] = "cancelled"
		}
		return shipping.Ack{}, nil
	case payments.AuthorizeRequest, payments.CaptureRequest, payments.CancelRequest:
		return w.pay(req)
	case orders.ConfirmRequest:
		return w.move("confirmed")
	case orders.CloseRequest:
		w.closed = r
		return w.move(string(r.Outcome))
	case orders.ParkRequest:
		return w.move("needs_attention")
	default:
		panic(fmt.Sprintf("no service knows %T", req))
	}
}

func (w *world) pay(req any) (any, error) {
	undone := w.payment == "voided" || w.payment == "refunded" || w.payment == "nothing"
	switch r := req.(type) {
	case payments.AuthorizeRequest:
		if undone {
			return nil, payments.ErrCancelled
		}
		if w.payment == "" {
			w.payment = "authorized"
		}
		return payments.Authorization{PaymentID: "pay_1", Amount: r.Amount}, nil
	case payments.CaptureRequest:
		switch {
		case undone:
			return nil, payments.ErrCancelled
		case w.payment == "":
			return nil, payments.ErrNotAuthorized
		case w.payment == "authorized":
			w.payment = "captured"
			w.captures++
		}
		return payments.Captured{PaymentID: "pay_1"}, nil
	default:
		if after, ok := map[string]string{"": "nothing", "authorized": "voided", "captured": "refunded"}[w.payment]; ok {
			w.payment = after
		}
		return payments.Cancellation{Outcome: w.payment}, nil
	}
}

func (w *world) move(to string) (any, error) {
	ended := w.order != "pending" && w.order != "needs_attention"
	switch {
	case w.order == to:
		return orders.Ack{}, nil
	case ended:
		return nil, orders.ErrIllegalTransition
	case to != "needs_attention":
		w.ends++
	}
	w.order = to
	return orders.Ack{}, nil
}
