package saga_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/payments"
)

// resolution is what an operator hears.
type resolution struct {
	rejected error
	answer   *saga.Resolution
	failed   error
}

// resolve sends an operator's decision about a parked step.
func (r *run) resolve(step string, action saga.Action, reason string) *resolution {
	heard := &resolution{}
	r.env.UpdateWorkflow(saga.UpdateResolve, "", &testsuite.TestUpdateCallback{
		OnAccept: func() {},
		OnReject: func(err error) { heard.rejected = err },
		OnComplete: func(answer any, err error) {
			if res, ok := answer.(saga.Resolution); ok && err == nil {
				heard.answer = &res
			}
			heard.failed = err
		},
	}, saga.Decision{Step: step, Action: action, Reason: reason, Operator: "op_1"})
	return heard
}

// became returns the answer of a decision that was accepted.
func (h *resolution) became(t *testing.T) saga.Resolution {
	t.Helper()
	require.NoError(t, h.rejected)
	require.NoError(t, h.failed)
	require.NotNil(t, h.answer, "an operator must not be left without an answer")
	return *h.answer
}

// errType is the type of an application error, as clients of Temporal see it.
func errType(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
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
			require.Equal(t, c.heard, first.became(t).State)
			require.Equal(t, c.then, second.became(t).State)
			require.Equal(t, "mine too", second.became(t).Decision.Reason)
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
	require.Equal(t, saga.StepDone, heard.became(t).State)
	require.Equal(t, saga.Cancelled, r.result.State)
	r.requireHonestEnd()
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
	require.Equal(t, saga.StepDone, heard.became(t).State)
	r.requireFailedAfterPark()
}
