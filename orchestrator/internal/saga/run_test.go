package saga_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/services/orders"
)

// tb is what both a *testing.T and a *rapid.T can do.
type tb interface {
	require.TestingT
	Helper()
}

const (
	orderID = "ord_1"
	// undoAttempts is how often an undo is tried in these tests.
	undoAttempts = 3
	// later is when operators come to work: long after the saga got stuck.
	later = 24 * time.Hour
)

// run is one saga in the SDK's test environment with all it talks to.
type run struct {
	t        tb
	env      *testsuite.TestWorkflowEnvironment
	world    *world
	platform *platform
	input    saga.Input
	result   saga.Result
}

// newRun prepares the saga of a good order over so many fulfilments.
func newRun(t tb, fulfilments int) *run {
	r := bareRun(t, fulfilments)
	r.platform = &platform{world: r.world}
	r.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{r.platform}})
	return r
}

// bareRun leaves out the platform.
func bareRun(t tb, fulfilments int) *run {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r := &run{t: t, env: suite.NewTestWorkflowEnvironment(), world: newWorld(fulfilments)}
	r.env.SetStartTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r.env.SetTestTimeout(time.Minute) // Of wall clock, on a machine that is busy.
	r.world.register(r.env)
	r.input = saga.Input{OrderID: orderID, Order: goodOrder(fulfilments)}
	return r
}

func goodOrder(lines int) orders.Order {
	o := orders.Order{
		CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok_visa",
		ShippingAddress: orders.Address{
			Name: "Ada Lovelace", Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB",
		},
	}
	for i := range lines {
		o.Lines = append(o.Lines, orders.Line{SKU: fmt.Sprintf("SKU-%d", i+1), Quantity: 1, UnitPrice: 1999})
	}
	return o
}

// execute runs the saga to its end, which is never a failure of the workflow.
func (r *run) execute() {
	r.t.Helper()
	set := saga.Settings{CompensationAttempts: undoAttempts}
	set.Register(r.env)
	r.env.ExecuteWorkflow(saga.WorkflowType, r.input)
	require.True(r.t, r.env.IsWorkflowCompleted())
	require.NoError(r.t, r.env.GetWorkflowError())
	require.NoError(r.t, r.env.GetWorkflowResult(&r.result))
	r.world.settle()
}

// first runs do in the first workflow task, before the saga's first line, and waits until the saga can see it.
func (r *run) first(do func(), seen func(workflow.Context) bool) {
	r.platform.prelude = func(ctx workflow.Context) {
		do()
		free, _ := workflow.NewDisconnectedContext(ctx)
		_ = workflow.Await(free, func() bool { return seen(ctx) })
	}
}

// at calls f so long after the start, in skipped time.
func (r *run) at(d time.Duration, f func()) { r.env.RegisterDelayedCallback(f, d) }

// signal asks to cancel the order.
func (r *run) signal() {
	r.env.SignalWorkflow(saga.SignalCancel, saga.CancelRequest{Reason: "changed my mind", RequestedBy: "cus_1"})
}

// signalWithAnswer asks to cancel the order so that the saga hears of it together with the answer it waits for.
func (r *run) signalWithAnswer() {
	r.env.SignalWorkflowSkippingWorkflowTask(saga.SignalCancel, saga.CancelRequest{})
}

func (r *run) progress() saga.Progress {
	r.t.Helper()
	answer, err := r.env.QueryWorkflow(saga.QueryProgress)
	require.NoError(r.t, err)
	var p saga.Progress
	require.NoError(r.t, answer.Get(&p))
	require.Equal(r.t, orderID, p.OrderID)
	return p
}

// step returns the last call of an activity.
func (r *run) step(name string) saga.Step {
	r.t.Helper()
	all := r.steps(name)
	require.NotEmpty(r.t, all, "the saga's progress must show %s", name)
	return all[len(all)-1]
}

// steps returns all calls of an activity.
func (r *run) steps(name string) []saga.Step {
	r.t.Helper()
	var out []saga.Step
	for _, st := range r.progress().Steps {
		if st.Name == name {
			out = append(out, *st)
		}
	}
	return out
}

// requireCalls compares the calls of the services with what is expected, in order. Calls that are made at once are
// written together, as by together, and may come in any order among themselves.
func (r *run) requireCalls(expected ...string) {
	r.t.Helper()
	r.world.mu.Lock()
	calls := slices.Clone(r.world.calls)
	r.world.mu.Unlock()
	var got []string
	for _, group := range expected {
		n := min(len(strings.Split(group, and)), len(calls))
		got = append(got, together(calls[:n]...))
		calls = calls[n:]
	}
	got = append(got, calls...)
	require.Equal(r.t, expected, got)
}

const and = " ∥ "

// together writes calls that are made at once.
func together(calls ...string) string {
	return strings.Join(slices.Sorted(slices.Values(calls)), and)
}

// join makes one list of calls out of several.
func join(lists ...[]string) []string { return slices.Concat(lists...) }

// repeat is a list of one call that is made several times.
func repeat(call string, n int) []string { return slices.Repeat([]string{call}, n) }

// requireHonestEnd checks that the services' books agree with the result, whatever happened on the way. A call that an
// operator skipped is recorded and may be missing in the books.
func (r *run) requireHonestEnd() {
	r.t.Helper()
	p, w := r.progress(), r.world
	require.Equal(r.t, r.result.State, p.State, "the query must tell the same as the result")
	skipped := make(map[string]bool)
	for _, st := range p.Steps {
		require.NotContains(r.t, []saga.StepState{saga.StepRunning, saga.StepParked}, st.State, "%s must have ended", st.Name)
		require.NotNil(r.t, st.EndedAt, st.Name)
		if st.State == saga.StepSkipped {
			require.NotNil(r.t, st.Decision, "%s was skipped, so the decision must be kept", st.Name)
			require.Equal(r.t, saga.Skip, st.Decision.Action)
			require.NotEmpty(r.t, st.Decision.Reason)
			skipped[st.Name] = true
		}
	}
	require.LessOrEqual(r.t, w.ends, 1, "an order has one end")
	if r.result.State == saga.Confirmed {
		require.Empty(r.t, r.result.Code)
		require.Equal(r.t, "captured", w.payment)
		require.Equal(r.t, 1, w.captures)
		require.True(r.t, w.stock == "committed" && w.commits == 1 || skipped[commit], "stock is %q", w.stock)
		for _, f := range w.fulfilments {
			require.Equal(r.t, "booked", w.shipments[f.ID], "fulfilment %s", f.ID)
			require.Equal(r.t, 1, w.bookings[f.ID], "fulfilment %s", f.ID)
		}
		require.True(r.t, w.order == "confirmed" || skipped[confirm], "order is %q", w.order)
		return
	}
	require.Contains(r.t, []saga.State{saga.Cancelled, saga.Failed}, r.result.State)
	require.NotEmpty(r.t, r.result.Code)
	require.NotEmpty(r.t, r.result.Message)
	require.True(r.t, w.stock == "released" || w.stock == "" || skipped[release], "stock is %q", w.stock)
	charged := w.payment == "authorized" || w.payment == "captured"
	require.False(r.t, charged && !skipped[cancelPayment], "payment is %q", w.payment)
	for id, state := range w.shipments {
		require.True(r.t, state == "cancelled" || skipped[cancelBooking], "fulfilment %s is %q", id, state)
	}
	if skipped[closeOrder] {
		return
	}
	require.Equal(r.t, string(r.result.State), w.order)
	require.Equal(r.t, orders.CloseRequest{
		OrderID: orderID, Outcome: orders.Outcome(r.result.State), Code: r.result.Code, Message: r.result.Message,
	}, w.closed)
}

var errBoom = errors.New("boom: password=hunter2")
