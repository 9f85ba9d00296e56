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

			decision := saga.Decision{
				Step: parked, Action: saga.Retry, Reason: "the database is back", Operator: "op_1",
			}
			require.Equal(t, saga.Resolution{Decision: decision, State: saga.StepDone}, heard.became(t))
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
	r.requireCalls(join(failedAtCapture, []string{cancelBooking}, repeat(cancelPayment, 3),
		[]string{release, closeOrder})...)
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

	require.Equal(t, saga.StepParked, first.became(t).State)
	require.Equal(t, inventory.ErrCommitted.Code, first.became(t).Code)
	require.Equal(t, inventory.ErrCommitted.Message, first.became(t).Message)
	require.Equal(t, saga.StepSkipped, second.became(t).State)
	steps := r.steps(release)
	require.Len(t, steps, 2)
	require.Equal(t, saga.StepFailed, steps[0].State)
	require.Equal(t, "should work now", steps[0].Decision.Reason)
	require.Equal(t, saga.StepSkipped, steps[1].State)
	require.Equal(t, "counted by hand", steps[1].Decision.Reason)
	require.Equal(t, "op_1", steps[1].Decision.Operator)
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
	require.Equal(t, saga.StepSkipped, first.became(t).State)
	require.Equal(t, saga.StepDone, second.became(t).State)
	r.requireFailedAfterPark()
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
	require.Equal(t, saga.StepParked, heard.became(t).State)
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
