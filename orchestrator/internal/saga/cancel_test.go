package saga_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

var errCancelled = errs.New(errs.Conflict, "cancelled_on_request", "The order was cancelled on request.")

// cancellable is a leg before the pivot: an order may be called off there.
func cancellable(l leg) bool { return !l.bound() && l.call != capture }

// uncancellable is the pivot or behind it.
func uncancellable(l leg) bool { return !cancellable(l) }

// ways are how a saga is called off.
var ways = map[string]func(*run){
	"signal":   (*run).signal,
	"workflow": func(r *run) { r.env.CancelWorkflow() },
}

// forEachCancel runs a test for each chosen leg and each way to call a saga off.
func forEachCancel(t *testing.T, chosen func(leg) bool, test func(r *run, l leg, cancel func())) {
	t.Helper()
	for name, cancel := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachLeg(t, chosen, func(r *run, l leg) {
				test(r, l, func() { cancel(r) })
			})
		})
	}
}

func TestSignalInTheFirstWorkflowTaskCallsOffEverything(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.first(r.signal, func(ctx workflow.Context) bool {
		return workflow.GetSignalChannel(ctx, saga.SignalCancel).Len() > 0
	})
	r.execute()
	r.requireCalls(release, closeOrder)
	r.requireUndone(saga.Cancelled, errCancelled)
}

func TestWorkflowCancelledBeforeItsFirstTaskClosesTheOrder(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.first(r.env.CancelWorkflow, func(ctx workflow.Context) bool { return ctx.Err() != nil })
	r.execute()
	r.requireCalls(closeOrder)
	require.Equal(t, saga.Cancelled, r.result.State)
	r.requireHonestEnd()
}

func TestInvalidOrderFailsEvenIfItIsCancelled(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.input.Order.PaymentToken = ""
	r.first(r.signal, func(ctx workflow.Context) bool {
		return workflow.GetSignalChannel(ctx, saga.SignalCancel).Len() > 0
	})
	r.execute()
	r.requireCalls(closeOrder)
	require.Equal(t, saga.Failed, r.result.State)
	r.requireHonestEnd()
}

func TestCancelBeforeAWorkerTakesTheStepWithdrawsIt(t *testing.T) {
	t.Parallel()
	forEachCancel(t, cancellable, func(r *run, l leg, cancel func()) {
		r.world.script.plan(l.call, attempt{wait: time.Hour, queued: cancel})
		r.execute()
		r.requireCalls(join(l.until(0), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Cancelled, errCancelled)
		require.Equal(r.t, saga.StepCancelled, r.steps(l.name)[index(l)].State)
	})
}

// index tells the two bookings apart, which have one name.
func index(l leg) int {
	if l.call == book2 {
		return 1
	}
	return 0
}

func TestCancelWaitsForTheStepInHand(t *testing.T) {
	t.Parallel()
	forEachCancel(t, cancellable, func(r *run, l leg, cancel func()) {
		r.world.script.plan(l.call, attempt{begun: cancel, work: l.startToClose / 2})
		r.execute()
		if l.beside != "" { // The other one is done long before.
			l.before, l.beside = join(l.before, []string{l.beside}), ""
		}
		r.requireCalls(join(l.until(1), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Cancelled, errCancelled)
		require.Empty(r.t, r.world.refused, "an undo must not overtake its step")
		require.Equal(r.t, saga.StepDone, r.steps(l.name)[index(l)].State)
	})
}

func TestCancelStopsAStepThatHeedsIt(t *testing.T) {
	t.Parallel()
	forEachCancel(t, cancellable, func(r *run, l leg, cancel func()) {
		r.world.script.plan(l.call, attempt{begun: cancel, heeds: true, work: l.startToClose / 2})
		r.execute()
		r.requireCalls(join(l.until(0), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Cancelled, errCancelled)
		require.Equal(r.t, saga.StepCancelled, r.steps(l.name)[index(l)].State)
	})
}

func TestCancelStopsAStepThatHeedsItTooLate(t *testing.T) {
	t.Parallel()
	forEachCancel(t, cancellable, func(r *run, l leg, cancel func()) {
		r.world.script.plan(l.call, attempt{done: cancel, heeds: true, answer: l.startToClose / 2})
		r.execute()
		r.requireCalls(join(l.until(1), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Cancelled, errCancelled)
	})
}

func TestCancelBetweenTwoAttemptsEndsTheStep(t *testing.T) {
	t.Parallel()
	forEachCancel(t, cancellable, func(r *run, l leg, cancel func()) {
		r.world.script.plan(l.call, attempt{fail: errDown, failed: cancel})
		r.execute()
		r.requireCalls(join(l.until(1), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Cancelled, errCancelled)
	})
}

// A step that is called off is not tried again, so it may end with a failure that a retry would have cured. The order
// did not fail by it.
func TestCancelWinsOverAFailureInHand(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]attempt{
		"failure":  {work: time.Second, fail: errDown},
		"time-out": {lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCancel(t, cancellable, func(r *run, l leg, cancel func()) {
				a := end
				a.begun = cancel
				r.world.script.plan(l.call, a)
				r.execute()
				r.requireUndone(saga.Cancelled, errCancelled)
			})
		})
	}
}

func TestCancelTogetherWithTheAnswerUndoesTheStep(t *testing.T) {
	t.Parallel()
	forEachLeg(t, cancellable, func(r *run, l leg) {
		r.world.script.plan(l.call, attempt{done: r.signalWithAnswer})
		r.execute()
		r.requireCalls(join(l.until(1), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Cancelled, errCancelled)
		require.Equal(r.t, saga.StepDone, r.steps(l.name)[index(l)].State)
	})
}

func TestCancelFromThePivotOnIsTooLate(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(cancel func()) attempt{
		"while no worker has it":   func(cancel func()) attempt { return attempt{queued: cancel, wait: time.Second} },
		"while it runs":            func(cancel func()) attempt { return attempt{begun: cancel, work: time.Second} },
		"while its answer travels": func(cancel func()) attempt { return attempt{done: cancel, answer: time.Second} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCancel(t, uncancellable, func(r *run, l leg, cancel func()) {
				r.world.script.plan(l.call, at(cancel))
				r.execute()
				r.requireCalls(l.calls(1)...)
				r.requireConfirmed()
			})
		})
	}
}

func TestCancelDuringACaptureThatIsRefusedUndoes(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.world.script.plan(capture, attempt{begun: r.signal, work: time.Second, fail: payments.ErrCaptureRefused})
	r.execute()
	r.requireCalls(reserve, authorize, together(book1, book2), capture, cancelBooking, cancelPayment, release, closeOrder)
	r.requireUndone(saga.Failed, payments.ErrCaptureRefused)
}

func TestSecondCancelChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.world.script.plan(authorize, attempt{begun: r.signal, work: time.Second})
	r.world.script.plan(cancelPayment, attempt{begun: r.signal, work: time.Second})
	r.world.script.plan(release, attempt{begun: r.env.CancelWorkflow, work: time.Second})
	r.world.script.plan(closeOrder, attempt{begun: r.signal, work: time.Second})
	r.execute()
	r.requireCalls(reserve, authorize, cancelPayment, release, closeOrder)
	r.requireUndone(saga.Cancelled, errCancelled)
}

func TestBookingThatFailsCallsOffTheOtherAndWaitsForIt(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]struct {
		attempt attempt
		calls   []string
		state   saga.StepState
	}{
		"that heeds it":             {attempt{work: time.Minute, heeds: true}, nil, saga.StepCancelled},
		"that is done all the same": {attempt{work: time.Minute}, []string{book1}, saga.StepDone},
		"that is done, then heeds":  {attempt{answer: time.Minute, heeds: true}, []string{book1}, saga.StepCancelled},
		"that nobody has taken":     {attempt{wait: time.Minute}, nil, saga.StepCancelled},
		"that fails":                {attempt{work: time.Minute, fail: errDown}, []string{book1}, saga.StepFailed},
		"that never answers":        {attempt{work: time.Minute, lost: true}, []string{book1}, saga.StepFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, 2)
			r.world.script.plan(book1, other.attempt)
			r.world.script.plan(book2, attempt{work: 10 * time.Second, fail: shipping.ErrAddressRefused})
			r.execute()
			books := join([]string{book2}, other.calls)
			if other.attempt.work == 0 && other.calls != nil {
				books = []string{book1, book2}
			}
			r.requireCalls(join([]string{reserve, authorize}, books,
				[]string{cancelBooking, cancelPayment, release, closeOrder})...)
			r.requireUndone(saga.Failed, shipping.ErrAddressRefused)
			require.Empty(t, r.world.refused, "an undo must not overtake its step")

			steps := r.steps(shipping.Book.Name)
			require.Equal(t, other.state, steps[0].State)
			require.Equal(t, saga.StepFailed, steps[1].State)
			undo := r.step(shipping.Cancel.Name)
			require.False(t, undo.StartedAt.Before(*steps[0].EndedAt), "the undo must wait for the other booking's end")
		})
	}
}
