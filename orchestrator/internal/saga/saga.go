// Package saga is the workflow that brings one order to its end. Steps are compensatable, then comes the pivot, then
// steps that are repeated until they succeed (Garcia-Molina and Salem, "Sagas", 1987). Each undo is registered before
// its step runs, so that a step whose answer was lost is undone too.
//
// It is workflow code: deterministic, and it knows services by their contracts alone.
package saga

import (
	"errors"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

// Names under which the saga is known to Temporal.
const (
	TaskQueue     = "orchestrator"
	WorkflowType  = "OrderSaga"
	SignalCancel  = "cancel"
	QueryProgress = "progress"
	UpdateResolve = "resolve"
)

// WorkflowID of the saga of an order. There is one saga per order, ever.
func WorkflowID(orderID string) string { return "order/" + orderID }

// Input is what a saga needs to know. The payload codec seals it: it holds an address and a token.
type Input struct {
	OrderID string       `json:"order_id"`
	Order   orders.Order `json:"order"`
}

// CancelRequest is the payload of SignalCancel.
type CancelRequest struct {
	Reason      string `json:"reason,omitempty"`
	RequestedBy string `json:"requested_by,omitempty"`
}

// Result tells how the order ended. A saga never fails as a workflow: an order that could not be done is an end too.
type Result struct {
	State   State  `json:"state"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Settings are what the orchestrator's operator may change. They shape activity options only, which a replay does not
// compare, so they may differ between two runs of one workflow.
type Settings struct {
	// CompensationAttempts is how often an undo is tried before it is parked for an operator.
	CompensationAttempts int32
}

// errCancelled is the cause of an undo that somebody asked for.
var errCancelled = errs.New(errs.Conflict, "cancelled_on_request", "The order was cancelled on request.")

// Register tells a worker, or whoever replays histories, of the saga. Where workers have versions, a saga ends under
// the one that it began under.
func (set Settings) Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(set.OrderSaga, workflow.RegisterOptions{
		Name: WorkflowType, VersioningBehavior: workflow.VersioningBehaviorPinned,
	})
}

// OrderSaga is the workflow.
func (set Settings) OrderSaga(ctx workflow.Context, in Input) (Result, error) {
	s := &saga{in: in, policies: newPolicies(set), state: Running}
	// From the pivot on nobody can call the order off, neither by a signal nor by cancelling the workflow, and what is
	// begun is brought to its end.
	unstoppable, _ := workflow.NewDisconnectedContext(ctx)
	if err := s.listen(unstoppable); err != nil {
		return Result{}, err
	}
	var result Result
	if err := s.advance(ctx, unstoppable); err != nil {
		result = s.undo(unstoppable, err)
	} else {
		result = s.finish(unstoppable)
	}
	// An operator who is waiting for an answer gets it before the workflow ends.
	err := workflow.Await(unstoppable, func() bool { return workflow.AllHandlersFinished(unstoppable) })
	return result, err
}

type saga struct {
	in       Input
	policies policies

	state     State
	shown     bool // in the search attribute
	steps     []*Step
	undos     []*task
	parked    []*task
	decisions []*decision
}

// task is a call that must succeed in the end, if need be with an operator's help.
type task struct {
	name string
	run  func(workflow.Context) error
}

// step runs an activity and keeps book of it.
func step[Req, Res any](
	ctx workflow.Context, s *saga, a contract.Activity[Req, Res], p contract.Policy, req Req,
) (Res, error) {
	st := s.begin(ctx, a.Name)
	res, err := a.Execute(ctx, p, req)
	st.end(ctx, err)
	if err != nil && ctx.Err() != nil {
		// What is called off is not tried again, so it may end with a failure that another try would have cured.
		err = ctx.Err()
	}
	return res, err
}

func newTask[Req, Res any](s *saga, a contract.Activity[Req, Res], p contract.Policy, req Req) *task {
	return &task{name: a.Name, run: func(ctx workflow.Context) error {
		_, err := step(ctx, s, a, p, req)
		return err
	}}
}

// undoWith registers the undo of the step that comes next. It fails if the order was called off meanwhile.
func undoWith[Req, Res any](ctx workflow.Context, s *saga, a contract.Activity[Req, Res], req Req) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.undos = append(s.undos, newTask(s, a, s.policies.undo, req))
	return nil
}

// advance runs the steps up to and including the pivot. If it fails, what is in s.undos must be undone.
func (s *saga) advance(ctx, unstoppable workflow.Context) error {
	order, id := s.in.Order, s.in.OrderID
	if err := orders.Validate(order); err != nil {
		return err
	}
	total, err := order.Total()
	if err != nil {
		return err
	}
	ctx = s.untilCalledOff(ctx)

	if err := undoWith(ctx, s, inventory.Release, inventory.ReleaseRequest{OrderID: id}); err != nil {
		return err
	}
	reservation, err := step(ctx, s, inventory.Reserve, s.policies.reserve,
		inventory.ReserveRequest{OrderID: id, Lines: stockLines(order.Lines)})
	if err != nil {
		return err
	}

	if err := undoWith(ctx, s, payments.Cancel, payments.CancelRequest{OrderID: id}); err != nil {
		return err
	}
	_, err = step(ctx, s, payments.Authorize, s.policies.authorize,
		payments.AuthorizeRequest{OrderID: id, CustomerID: order.CustomerID, Amount: total, Token: order.PaymentToken})
	if err != nil {
		return err
	}

	unbook := shipping.CancelRequest{OrderID: id, FulfilmentIDs: fulfilmentIDs(reservation.Fulfilments)}
	if err := undoWith(ctx, s, shipping.Cancel, unbook); err != nil {
		return err
	}
	if err := s.bookAll(ctx, reservation.Fulfilments); err != nil {
		return err
	}

	if err := ctx.Err(); err != nil {
		return err
	}
	_, err = step(unstoppable, s, payments.Capture, s.policies.capture, payments.CaptureRequest{OrderID: id})
	return err
}

// untilCalledOff returns a context that ends when somebody asks to cancel the order.
func (s *saga) untilCalledOff(ctx workflow.Context) workflow.Context {
	ctx, callOff := workflow.WithCancel(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		var req CancelRequest
		workflow.GetSignalChannel(ctx, SignalCancel).Receive(ctx, &req)
		callOff()
	})
	return ctx
}

// bookAll books every fulfilment at once. When one cannot be booked the others are called off, because all are undone.
func (s *saga) bookAll(ctx workflow.Context, fulfilments []inventory.Fulfilment) error {
	ctx, callOff := workflow.WithCancel(ctx)
	defer callOff()
	var failure error
	bookings := workflow.NewWaitGroup(ctx)
	for _, f := range fulfilments {
		bookings.Go(ctx, func(ctx workflow.Context) {
			err := s.book(ctx, bookRequest(s.in, f))
			if err != nil && failure == nil {
				failure = err
				callOff()
			}
		})
	}
	bookings.Wait(ctx)
	return failure
}

// book books one fulfilment. The attempts of its policy are the carrier's. A failure of our own house, such as a
// database that moves to another machine, is no reason to undo an order that was accepted: it is waited out, as long as
// the policy's deadline allows.
func (s *saga) book(ctx workflow.Context, req shipping.BookRequest) error {
	p := s.policies.book
	end := workflow.Now(ctx).Add(p.Deadline)
	for {
		_, err := step(ctx, s, shipping.Book, p, req)
		if err == nil || !isOurs(err) {
			return err
		}
		if called := workflow.Sleep(ctx, p.Retry.MaximumInterval); called != nil {
			return called
		}
		if p.Deadline = end.Sub(workflow.Now(ctx)); p.Deadline <= 0 {
			return err
		}
	}
}

// isOurs reports whether a booking failed for a reason that lies with us and passes.
func isOurs(err error) bool {
	if temporal.IsCanceledError(err) || errors.Is(err, shipping.ErrCarrierUnavailable) {
		return false
	}
	kind := errs.From(err).Kind
	return kind == errs.Unavailable || kind == errs.Internal
}

// undo runs the registered undos in reverse and closes the order.
func (s *saga) undo(ctx workflow.Context, cause error) Result {
	result := Result{State: Failed}
	if temporal.IsCanceledError(cause) {
		cause, result.State = errCancelled, Cancelled
	}
	why := errs.From(cause)
	result.Code, result.Message = why.Code, why.Message

	if len(s.undos) > 0 {
		s.enter(ctx, Compensating)
	}
	var failed []*task
	for _, t := range slices.Backward(s.undos) {
		countUndo(ctx, t.name, compensationStarted)
		if err := t.run(ctx); err != nil {
			countUndo(ctx, t.name, compensationFailed)
			failed = append(failed, t) // The others are undone all the same.
			continue
		}
		countUndo(ctx, t.name, compensationDone)
	}
	s.park(ctx, failed)

	outcome := orders.Failed
	if result.State == Cancelled {
		outcome = orders.Cancelled
	}
	s.insist(ctx, newTask(s, orders.Close, s.policies.insist,
		orders.CloseRequest{OrderID: s.in.OrderID, Outcome: outcome, Code: result.Code, Message: result.Message}))
	s.enter(ctx, result.State)
	return result
}

// finish runs the steps behind the pivot. They are repeated until they succeed.
func (s *saga) finish(ctx workflow.Context) Result {
	s.insist(ctx,
		newTask(s, inventory.Commit, s.policies.insist, inventory.CommitRequest{OrderID: s.in.OrderID}),
		newTask(s, orders.Confirm, s.policies.insist, orders.ConfirmRequest{OrderID: s.in.OrderID}),
	)
	if s.shown {
		s.enter(ctx, Confirmed)
	}
	s.state = Confirmed
	return Result{State: Confirmed}
}

// insist runs tasks at once and comes back when each has succeeded or an operator has skipped it.
func (s *saga) insist(ctx workflow.Context, tasks ...*task) {
	var failed []*task
	running := workflow.NewWaitGroup(ctx)
	for _, t := range tasks {
		running.Go(ctx, func(ctx workflow.Context) {
			if err := t.run(ctx); err != nil {
				failed = append(failed, t)
			}
		})
	}
	running.Wait(ctx)
	s.park(ctx, failed)
}

func stockLines(lines []orders.Line) []inventory.Line {
	out := make([]inventory.Line, len(lines))
	for i, l := range lines {
		out[i] = inventory.Line{SKU: l.SKU, Quantity: l.Quantity}
	}
	return out
}

func fulfilmentIDs(fulfilments []inventory.Fulfilment) []string {
	out := make([]string, len(fulfilments))
	for i, f := range fulfilments {
		out[i] = f.ID
	}
	return out
}

func bookRequest(in Input, f inventory.Fulfilment) shipping.BookRequest {
	items := make([]shipping.Item, len(f.Lines))
	for i, l := range f.Lines {
		items[i] = shipping.Item{SKU: l.SKU, Quantity: l.Quantity}
	}
	return shipping.BookRequest{
		OrderID: in.OrderID, FulfilmentID: f.ID, Warehouse: f.Warehouse, Items: items,
		To: shipping.Address(in.Order.ShippingAddress),
	}
}
