package saga_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

// failedAtCapture is how far an order with one fulfilment comes whose money cannot be taken.
var failedAtCapture = []string{reserve, authorize, book1, capture}

// newFailedRun prepares a saga whose capture is refused, so that everything has to be undone.
func newFailedRun(t *testing.T) *run {
	t.Helper()
	r := newRun(t, 1)
	r.world.script.plan(capture, attempt{fail: payments.ErrCaptureRefused})
	return r
}

// exhausted is an undo that keeps failing until it is parked.
func exhausted() []attempt { return times(undoAttempts, attempt{fail: errDown}) }

// requireParked checks what operators see of a saga that waits for them.
func (r *run) requireParked(steps ...string) {
	r.t.Helper()
	p := r.progress()
	require.Equal(r.t, saga.NeedsAttention, p.State)
	require.Equal(r.t, saga.NeedsAttention, r.world.shown[len(r.world.shown)-1])
	var parked []string
	for _, st := range p.Steps {
		if st.State == saga.StepParked {
			parked = append(parked, st.Name)
			require.NotEmpty(r.t, st.Code)
			require.NotEmpty(r.t, st.Message)
			require.NotNil(r.t, st.EndedAt)
		}
	}
	require.ElementsMatch(r.t, steps, parked)
}

// requireFailedAfterPark checks that a parked saga came to the end it was on its way to.
func (r *run) requireFailedAfterPark() {
	r.t.Helper()
	why := payments.ErrCaptureRefused
	require.Equal(r.t, saga.Result{State: saga.Failed, Code: why.Code, Message: why.Message}, r.result)
	require.Equal(r.t, []saga.State{saga.Compensating, saga.NeedsAttention, saga.Compensating, saga.Failed}, r.world.shown)
	r.requireHonestEnd()
}

func TestUndoThatKeepsFailingIsParkedWhileTheOthersAreDone(t *testing.T) {
	t.Parallel()
	for parked, calls := range map[string][]string{
		cancelBooking: join(repeat(cancelBooking, undoAttempts), []string{cancelPayment, release}),
		cancelPayment: join([]string{cancelBooking}, repeat(cancelPayment, undoAttempts), []string{release}),
		release:       join([]string{cancelBooking, cancelPayment}, repeat(release, undoAttempts)),
	} {
		t.Run(parked, func(t *testing.T) {
			t.Parallel()
			r := newFailedRun(t)
			r.world.script.plan(parked, exhausted()...)
			var heard *resolution
			r.at(later, func() {
				r.requireParked(parked)
				require.Equal(t, "needs_attention", r.world.order)
				heard = r.resolve(parked, saga.Retry, "the database is back")
			})
			r.execute()
			r.requireCalls(join(failedAtCapture, calls, []string{park, parked, closeOrder})...)
			r.requireFailedAfterPark()

			decision := saga.Decision{Step: parked, Action: saga.Retry, Reason: "the database is back", Operator: "op_1"}
			require.Equal(t, &saga.Resolution{Decision: decision, State: saga.StepDone}, heard.answer)
			steps := r.steps(parked)
			require.Len(t, steps, 2)
			require.Equal(t, saga.StepFailed, steps[0].State)
			require.Equal(t, errDown.Code, steps[0].Code)
			require.Equal(t, &decision, steps[0].Decision)
			require.Equal(t, saga.StepDone, steps[1].State)
		})
	}
}

func TestUndoThatFailsFinallyIsParkedAtOnce(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(cancelBooking, attempt{fail: shipping.ErrDispatched})
	r.at(later, func() {
		r.requireParked(cancelBooking)
		r.resolve(cancelBooking, saga.Skip, "the carrier brings it back")
	})
	r.execute()
	r.requireCalls(join(failedAtCapture, []string{cancelBooking, cancelPayment, release, park, closeOrder})...)
	r.requireFailedAfterPark()
	require.Equal(t, "booked", r.world.shipments["1"])
}

func TestUndoWhoseAnswerIsLostIsAskedAgain(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(cancelPayment, attempt{lost: true}, attempt{lost: true})
	r.execute()
	r.requireCalls(join(failedAtCapture, []string{cancelBooking}, repeat(cancelPayment, 3), []string{release, closeOrder})...)
	r.requireUndone(saga.Failed, payments.ErrCaptureRefused)
}

func TestRetryThatFailsIsParkedAgain(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(release, exhausted()...)
	r.world.script.plan(release, attempt{fail: inventory.ErrCommitted})
	var first, second *resolution
	r.at(later, func() { first = r.resolve(release, saga.Retry, "should work now") })
	r.at(2*later, func() {
		r.requireParked(release)
		second = r.resolve(release, saga.Skip, "counted by hand")
	})
	r.execute()
	r.requireCalls(join(failedAtCapture, []string{cancelBooking, cancelPayment}, repeat(release, undoAttempts),
		[]string{park, release, closeOrder})...)
	r.requireFailedAfterPark()

	require.Equal(t, saga.StepParked, first.answer.State)
	require.Equal(t, inventory.ErrCommitted.Code, first.answer.Code)
	require.Equal(t, inventory.ErrCommitted.Message, first.answer.Message)
	require.Equal(t, saga.StepSkipped, second.answer.State)
	steps := r.steps(release)
	require.Len(t, steps, 2)
	require.Equal(t, saga.StepFailed, steps[0].State)
	require.Equal(t, "should work now", steps[0].Decision.Reason)
	require.Equal(t, saga.StepSkipped, steps[1].State)
	require.Equal(t, "counted by hand", steps[1].Decision.Reason)
	require.Equal(t, "op_1", steps[1].Decision.Operator)
}

func TestDecisionThatMakesNoSenseIsRejected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step    string
		action  saga.Action
		reason  string
		problem string
	}{
		"unknown action":  {release, "forget", "because", `the action "forget" is neither retry nor skip`},
		"no action":       {release, "", "because", `the action "" is neither retry nor skip`},
		"no reason":       {release, saga.Skip, "", "a reason must be given"},
		"blank reason":    {release, saga.Retry, " \t", "a reason must be given"},
		"step is done":    {cancelPayment, saga.Retry, "because", `the step "payments/Cancel" is not parked`},
		"unknown step":    {"payments/Steal", saga.Skip, "because", `the step "payments/Steal" is not parked`},
		"no step":         {"", saga.Skip, "because", `the step "" is not parked`},
		"step is to come": {closeOrder, saga.Skip, "because", `the step "orders/Close" is not parked`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFailedRun(t)
			r.world.script.plan(release, exhausted()...)
			var heard *resolution
			r.at(later, func() { heard = r.resolve(c.step, c.action, c.reason) })
			r.at(2*later, func() { r.resolve(release, saga.Retry, "cured") })
			r.execute()
			requireRejected(t, heard, c.problem)
			r.requireFailedAfterPark()
		})
	}
}

func requireRejected(t *testing.T, heard *resolution, problem string) {
	t.Helper()
	require.ErrorContains(t, heard.rejected, problem)
	require.Equal(t, saga.RejectedType, errType(heard.rejected))
	require.Nil(t, heard.answer)
}

func TestNothingCanBeResolvedWhileNothingIsParked(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	var early, late *resolution
	r.world.script.plan(book1, attempt{
		work: time.Second, begun: func() { early = r.resolve(release, saga.Skip, "just in case") },
	})
	r.world.script.plan(closeOrder, attempt{
		work: time.Second, begun: func() { late = r.resolve(release, saga.Skip, "just in case") },
	})
	r.execute()
	requireRejected(t, early, "is not parked")
	requireRejected(t, late, "is not parked")
	r.requireUndone(saga.Failed, payments.ErrCaptureRefused)
}

func TestTwoParkedUndosAreResolvedInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{cancelBooking, release}, {release, cancelBooking}} {
		t.Run(order[0], func(t *testing.T) {
			t.Parallel()
			r := newFailedRun(t)
			r.world.script.plan(cancelBooking, exhausted()...)
			r.world.script.plan(release, exhausted()...)
			r.at(later, func() {
				r.requireParked(cancelBooking, release)
				r.resolve(order[0], saga.Retry, "cured")
			})
			r.at(2*later, func() {
				r.requireParked(order[1])
				r.resolve(order[1], saga.Retry, "cured too")
			})
			r.execute()
			r.requireCalls(join(failedAtCapture, repeat(cancelBooking, undoAttempts), []string{cancelPayment},
				repeat(release, undoAttempts), []string{park}, order, []string{closeOrder})...)
			r.requireFailedAfterPark()
		})
	}
}

func TestTwoParkedUndosResolvedAtOnce(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(cancelBooking, exhausted()...)
	r.world.script.plan(release, exhausted()...)
	var first, second *resolution
	r.at(later, func() {
		first = r.resolve(release, saga.Skip, "counted by hand")
		second = r.resolve(cancelBooking, saga.Retry, "cured")
	})
	r.execute()
	require.Equal(t, saga.StepSkipped, first.answer.State)
	require.Equal(t, saga.StepDone, second.answer.State)
	r.requireFailedAfterPark()
}

func TestSecondOperatorHearsWhatBecameOfTheStep(t *testing.T) {
	t.Parallel()
	const retry, skip = saga.Retry, saga.Skip
	const done, parked, skipped = saga.StepDone, saga.StepParked, saga.StepSkipped
	works, fails := attempt{}, attempt{fail: inventory.ErrCommitted}
	slow, slowlyFails := attempt{work: 9 * time.Second}, attempt{work: 9 * time.Second, fail: inventory.ErrCommitted}
	for name, c := range map[string]struct {
		first, second saga.Action
		// retry is how the first try goes that an operator asks for.
		retry attempt
		// after is when the second decision comes; 0 is before the first one is looked at.
		after       time.Duration
		heard, then saga.StepState
		triesByHand int
	}{
		"both skip":                      {skip, skip, works, 0, skipped, skipped, 0},
		"skip, then retry":               {skip, retry, works, 0, skipped, skipped, 0},
		"both retry":                     {retry, retry, works, 0, done, done, 1},
		"retry, then skip":               {retry, skip, works, 0, done, done, 1},
		"retry fails, then skip":         {retry, skip, fails, 0, parked, skipped, 1},
		"retry fails, then retry":        {retry, retry, fails, 0, parked, done, 2},
		"retry while the retry runs":     {retry, retry, slow, time.Second, done, done, 1},
		"skip while the retry runs":      {retry, skip, slow, time.Second, done, done, 1},
		"skip while the retry fails":     {retry, skip, slowlyFails, time.Second, parked, skipped, 1},
		"retry while the retry fails":    {retry, retry, slowlyFails, time.Second, parked, done, 2},
		"retry after a retry that fails": {retry, retry, fails, later, parked, done, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFailedRun(t)
			r.world.script.plan(release, exhausted()...)
			r.world.script.plan(release, c.retry)
			var first, second *resolution
			one := func() { first = r.resolve(release, c.first, "mine") }
			two := func() { second = r.resolve(release, c.second, "mine too") }
			if c.after > 0 {
				r.at(later, one)
				r.at(later+c.after, two)
			} else {
				r.world.script.plan(park, attempt{begun: func() { one(); two() }, work: time.Second})
			}
			r.execute()
			r.requireCalls(join(failedAtCapture, []string{cancelBooking, cancelPayment}, repeat(release, undoAttempts),
				[]string{park}, repeat(release, c.triesByHand), []string{closeOrder})...)
			r.requireFailedAfterPark()
			for _, heard := range []*resolution{first, second} {
				require.NoError(t, heard.rejected)
				require.NoError(t, heard.failed)
				require.NotNil(t, heard.answer, "an operator must not be left without an answer")
			}
			require.Equal(t, c.heard, first.answer.State)
			require.Equal(t, c.then, second.answer.State)
			require.Equal(t, "mine too", second.answer.Decision.Reason)
		})
	}
}

func TestOperatorsCanResolveASagaWhoseWorkflowWasCancelled(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	r.world.script.plan(authorize, attempt{begun: r.env.CancelWorkflow, work: time.Second})
	r.world.script.plan(release, exhausted()...)
	r.world.script.plan(release, attempt{work: time.Second})
	var heard *resolution
	r.at(later, func() { heard = r.resolve(release, saga.Retry, "cured") })
	r.execute()
	require.NoError(t, heard.failed)
	require.NotNil(t, heard.answer)
	require.Equal(t, saga.StepDone, heard.answer.State)
	require.Equal(t, saga.Cancelled, r.result.State)
	r.requireHonestEnd()
}

func TestParkedBehindThePivotIsResolvedOneByOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order   []string
		actions []saga.Action
	}{
		"commit first":       {[]string{commit, confirm}, []saga.Action{saga.Retry, saga.Retry}},
		"confirm first":      {[]string{confirm, commit}, []saga.Action{saga.Retry, saga.Retry}},
		"commit skipped":     {[]string{commit, confirm}, []saga.Action{saga.Skip, saga.Retry}},
		"everything skipped": {[]string{confirm, commit}, []saga.Action{saga.Skip, saga.Skip}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, 1)
			r.world.script.plan(commit, attempt{fail: inventory.ErrOutOfStock})
			r.world.script.plan(confirm, attempt{fail: orders.ErrOrderNotFound})
			calls := []string{reserve, authorize, book1, capture, together(commit, confirm), park}
			for i, step := range c.order {
				r.at(time.Duration(i+1)*later, func() {
					r.requireParked(c.order[i:]...)
					r.resolve(step, c.actions[i], "seen to")
				})
				if c.actions[i] == saga.Retry {
					calls = append(calls, step)
				}
			}
			r.execute()
			r.requireCalls(calls...)
			require.Equal(t, saga.Result{State: saga.Confirmed}, r.result)
			require.Equal(t, []saga.State{saga.NeedsAttention, saga.Running, saga.Confirmed}, r.world.shown)
			r.requireHonestEnd()
		})
	}
}

func TestCommitParkedBehindAConfirmedOrder(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	r.world.script.plan(commit, attempt{fail: inventory.ErrOutOfStock}, attempt{fail: inventory.ErrOutOfStock})
	var heard *resolution
	r.at(later, func() {
		r.requireParked(commit)
		require.Equal(t, "confirmed", r.world.order, "what is parked now is not the customer's affair")
		heard = r.resolve(commit, saga.Retry, "goods have come in")
	})
	r.at(2*later, func() { r.resolve(commit, saga.Retry, "now they have") })
	r.execute()
	require.Equal(t, saga.StepParked, heard.answer.State)
	require.Equal(t, []string{park + ": " + orders.ErrIllegalTransition.Error()}, r.world.refused)
	require.Equal(t, saga.Result{State: saga.Confirmed}, r.result)
	r.requireHonestEnd()
}

func TestCloseThatIsRefusedIsParked(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(closeOrder, attempt{fail: orders.ErrIllegalTransition})
	r.at(later, func() {
		r.requireParked(closeOrder)
		r.resolve(closeOrder, saga.Skip, "closed by hand")
	})
	r.execute()
	r.requireCalls(join(failedAtCapture, []string{cancelBooking, cancelPayment, release, closeOrder, park})...)
	r.requireFailedAfterPark()
}

func TestParkingTwiceTellsTwice(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(release, exhausted()...)
	r.world.script.plan(closeOrder, attempt{fail: orders.ErrIllegalTransition})
	r.at(later, func() { r.resolve(release, saga.Retry, "cured") })
	r.at(2*later, func() { r.resolve(closeOrder, saga.Retry, "cured too") })
	r.execute()
	r.requireCalls(join(failedAtCapture, []string{cancelBooking, cancelPayment}, repeat(release, undoAttempts),
		[]string{park, release, closeOrder, park, closeOrder})...)
	require.Equal(t, []saga.State{
		saga.Compensating, saga.NeedsAttention, saga.Compensating, saga.NeedsAttention, saga.Compensating, saga.Failed,
	}, r.world.shown)
	r.requireHonestEnd()
}

func TestOrderThatCannotBeShownAsParkedIsResolvedAllTheSame(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]attempt{
		"refused": {fail: orders.ErrOrderNotFound},
		"down":    {fail: errDown},
		"silent":  {dies: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFailedRun(t)
			r.world.script.plan(release, exhausted()...)
			r.world.script.always(park, script)
			r.at(later, func() {
				r.requireParked(release)
				r.resolve(release, saga.Retry, "cured")
			})
			r.execute()
			r.requireFailedAfterPark()
			require.Equal(t, saga.StepFailed, r.step(park).State)
		})
	}
}

func TestDecisionIsHeardWhileTheOrderIsBeingShownAsParked(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(release, exhausted()...)
	var heard *resolution
	r.world.script.plan(park, attempt{
		work: time.Second, begun: func() { heard = r.resolve(release, saga.Retry, "cured") },
	})
	r.execute()
	require.Equal(t, saga.StepDone, heard.answer.State)
	r.requireFailedAfterPark()
}

func TestCodeOfAnUndoThatNobodyClassifiedIsShown(t *testing.T) {
	t.Parallel()
	r := newFailedRun(t)
	r.world.script.plan(release, times(undoAttempts, attempt{fail: errs.From(errBoom)})...)
	r.at(later, func() {
		st := r.step(release)
		require.Equal(t, "internal", st.Code)
		require.NotContains(t, st.Message, errBoom.Error(), "a cause stays in the service's log")
		r.resolve(release, saga.Retry, "cured")
	})
	r.execute()
	r.requireFailedAfterPark()
}
