package saga_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/orders"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/shipping"
)

// leg is one call on the straight way of an order with two fulfilments, and what surrounds it.
type leg struct {
	call string
	// name is the activity's.
	name string
	// before is called earlier, beside at the same time, after later.
	before, after []string
	beside        string
	// undo is called when the order is undone from here.
	undo []string
	// final is a failure that no retry cures.
	final *errs.Error
	// attempts are made until the saga gives up because of exhausts. 0 means that it never does.
	attempts int
	exhausts *errs.Error
	// startToClose is the longest an attempt may take.
	startToClose time.Duration
}

// bound is behind the pivot: it cannot be undone.
func (l leg) bound() bool { return l.undo == nil }

// calls is everything that happens on the straight way if the call is made n times.
func (l leg) calls(n int) []string { return join(l.until(n), l.after) }

// until is everything that happens up to and including the n-th call.
func (l leg) until(n int) []string {
	if l.beside == "" {
		return join(l.before, repeat(l.call, n))
	}
	if n == 0 {
		return join(l.before, []string{l.beside})
	}
	return join(l.before, []string{together(l.call, l.beside)}, repeat(l.call, n-1))
}

func legs() []leg {
	undoStock := []string{release}
	undoMoney := join([]string{cancelPayment}, undoStock)
	undoAll := join([]string{cancelBooking}, undoMoney)
	books, ends := []string{together(book1, book2)}, []string{together(commit, confirm)}
	beforeBooks := []string{reserve, authorize}
	beforeCapture := join(beforeBooks, books)
	beforeEnds := join(beforeCapture, []string{capture})
	return []leg{
		{
			call: reserve, name: reserve, undo: undoStock, final: inventory.ErrOutOfStock,
			after: join([]string{authorize}, books, []string{capture}, ends), attempts: 30, exhausts: errDown,
			startToClose: inventory.Reserve.StartToClose,
		},
		{
			call: authorize, name: authorize, before: []string{reserve}, undo: undoMoney, final: payments.ErrDeclined,
			after: join(books, []string{capture}, ends), attempts: 20, exhausts: errDown,
			startToClose: payments.Authorize.StartToClose,
		},
		{
			call: book1, name: shipping.Book.Name, before: beforeBooks, beside: book2, undo: undoAll,
			after: join([]string{capture}, ends), attempts: 5, exhausts: shipping.ErrCarrierUnavailable,
			final: shipping.ErrAddressRefused, startToClose: shipping.Book.StartToClose,
		},
		{
			call: book2, name: shipping.Book.Name, before: beforeBooks, beside: book1, undo: undoAll,
			after: join([]string{capture}, ends), attempts: 5, exhausts: shipping.ErrCarrierUnavailable,
			final: shipping.ErrAddressRefused, startToClose: shipping.Book.StartToClose,
		},
		{
			call: capture, name: capture, before: beforeCapture, undo: undoAll, final: payments.ErrCaptureRefused,
			after: ends, attempts: 20, exhausts: errDown, startToClose: payments.Capture.StartToClose,
		},
		{
			call: commit, name: commit, before: beforeEnds, beside: confirm, final: inventory.ErrOutOfStock,
			startToClose: inventory.Commit.StartToClose,
		},
		{
			call: confirm, name: confirm, before: beforeEnds, beside: commit, final: orders.ErrOrderNotFound,
			startToClose: orders.Confirm.StartToClose,
		},
	}
}

// forEachLeg runs a test for each leg that is chosen, with an order of two fulfilments.
func forEachLeg(t *testing.T, chosen func(leg) bool, test func(*run, leg)) {
	t.Helper()
	for _, l := range legs() {
		if chosen(l) {
			t.Run(l.call, func(t *testing.T) {
				t.Parallel()
				test(newRun(t, 2), l)
			})
		}
	}
}

func every(leg) bool      { return true }
func undoable(l leg) bool { return !l.bound() }

var errDown = errs.New(errs.Unavailable, "database_unavailable", "Please try again.")

// requireConfirmed checks that the order went straight to its good end.
func (r *run) requireConfirmed() {
	r.t.Helper()
	require.Equal(r.t, saga.Result{State: saga.Confirmed}, r.result)
	require.Empty(r.t, r.world.shown, "a saga on the straight way costs no search attribute")
	r.requireHonestEnd()
}

// requireUndone checks that the order ended in a state for a reason, with all undone.
func (r *run) requireUndone(state saga.State, why *errs.Error) {
	r.t.Helper()
	require.Equal(r.t, saga.Result{State: state, Code: why.Code, Message: why.Message}, r.result)
	require.Equal(r.t, []saga.State{saga.Compensating, state}, r.world.shown)
	r.requireHonestEnd()
}

func TestStraightWay(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.execute()
	r.requireCalls(reserve, authorize, together(book1, book2), capture, together(commit, confirm))
	r.requireConfirmed()
	for _, st := range r.progress().Steps {
		require.Equal(t, saga.StepDone, st.State, st.Name)
	}
}

func TestInvalidOrderTouchesNoOtherService(t *testing.T) {
	t.Parallel()
	r := newRun(t, 2)
	r.input.Order.Lines[1].Quantity = 0
	r.execute()
	r.requireCalls(closeOrder)
	require.Equal(t, saga.Failed, r.result.State)
	require.Equal(t, orders.ErrInvalidOrder.Code, r.result.Code)
	require.Equal(t, []saga.State{saga.Failed}, r.world.shown)
	r.requireHonestEnd()
}

func TestStepThatFailsFinallyIsUndoneWithAllBefore(t *testing.T) {
	t.Parallel()
	forEachLeg(t, undoable, func(r *run, l leg) {
		r.world.script.plan(l.call, attempt{fail: l.final})
		r.execute()
		r.requireCalls(join(l.until(1), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Failed, l.final)
	})
}

func TestStepBehindThePivotThatFailsFinallyIsParked(t *testing.T) {
	t.Parallel()
	forEachLeg(t, leg.bound, func(r *run, l leg) {
		r.world.script.plan(l.call, attempt{fail: l.final})
		r.at(later, func() { r.resolve(l.name, saga.Retry, "cured") })
		r.execute()
		r.requireCalls(join(l.until(1), []string{park, l.call})...)
		require.Equal(r.t, saga.Result{State: saga.Confirmed}, r.result)
		require.Equal(r.t, []saga.State{saga.NeedsAttention, saga.Running, saga.Confirmed}, r.world.shown)
		r.requireHonestEnd()
	})
}

func TestStepThatRecoversGoesOn(t *testing.T) {
	t.Parallel()
	forEachLeg(t, every, func(r *run, l leg) {
		r.world.script.plan(l.call, times(2, attempt{fail: errDown})...)
		r.execute()
		r.requireCalls(l.calls(3)...)
		r.requireConfirmed()
		require.Equal(r.t, saga.StepDone, r.step(l.name).State)
	})
}

func TestStepThatExhaustsItsAttemptsIsUndone(t *testing.T) {
	t.Parallel()
	forEachLeg(t, undoable, func(r *run, l leg) {
		r.world.script.always(l.call, attempt{fail: l.exhausts})
		r.execute()
		r.requireCalls(join(l.until(l.attempts), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Failed, l.exhausts)
	})
}

func TestBookingWaitsForOurOwnHouseLongerThanForACarrier(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{errDown, errBoom} {
		r := newRun(t, 2)
		r.world.script.plan(book1, times(100, attempt{fail: failure})...)
		r.execute()
		r.requireConfirmed()
	}
}

func TestBookingDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	r.world.script.always(book1, attempt{fail: errDown})
	r.execute()
	r.requireUndone(saga.Failed, errDown)
	require.LessOrEqual(t, r.step(release).StartedAt.Sub(r.step(reserve).StartedAt), 31*time.Minute)
}

func TestBookingThatWaitsForOurOwnHouseCanBeCalledOff(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	r.world.script.always(book1, attempt{fail: errDown})
	r.at(5*time.Minute, r.signal)
	r.execute()
	require.Equal(t, saga.Cancelled, r.result.State)
	r.requireHonestEnd()
}

func TestStepBehindThePivotNeverGivesUp(t *testing.T) {
	t.Parallel()
	forEachLeg(t, leg.bound, func(r *run, l leg) {
		r.world.script.plan(l.call, times(200, attempt{fail: errDown})...)
		r.execute()
		r.requireCalls(l.calls(201)...)
		r.requireConfirmed()
	})
}

func TestAnswerJustBeforeTheTimeOutCounts(t *testing.T) {
	t.Parallel()
	forEachLeg(t, every, func(r *run, l leg) {
		r.world.script.plan(l.call, attempt{work: l.startToClose / 2, answer: l.startToClose/2 - time.Millisecond})
		r.execute()
		r.requireCalls(l.calls(1)...)
		r.requireConfirmed()
	})
}

func TestStepWhoseAnswerIsLostIsAskedAgain(t *testing.T) {
	t.Parallel()
	forEachLeg(t, every, func(r *run, l leg) {
		r.world.script.plan(l.call, attempt{lost: true})
		r.execute()
		r.requireCalls(l.calls(2)...)
		r.requireConfirmed()
	})
}

func TestStepThatIsDoneButNeverAnswersIsUndone(t *testing.T) {
	t.Parallel()
	forEachLeg(t, undoable, func(r *run, l leg) {
		r.world.script.always(l.call, attempt{lost: true})
		r.execute()
		r.requireCalls(join(l.until(l.attempts), l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Failed, contract.ErrTimeout)
	})
}

func TestStepThatComesAfterItsTimeOutIsUndone(t *testing.T) {
	t.Parallel()
	forEachLeg(t, undoable, func(r *run, l leg) {
		r.world.script.always(l.call, attempt{work: 24 * time.Hour})
		r.execute()
		require.Empty(r.t, r.world.refused, "nothing has come yet")
		if l.beside != "" {
			l.before = join(l.before, []string{l.beside})
		}
		r.requireCalls(join(l.before, l.undo, []string{closeOrder})...)
		r.requireUndone(saga.Failed, contract.ErrTimeout)
	})
}

func TestBookingThatTakesLongIsTriedWithinTheDeadline(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	begun := 0
	r.world.script.always(book1, attempt{work: time.Hour, begun: func() { begun++ }})
	r.execute()
	require.Equal(t, 3, begun, "30 minutes have room for three attempts of 10 minutes")
	r.requireUndone(saga.Failed, contract.ErrTimeout)
}

func TestWorkerThatDiesIsNoticedByItsSilence(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	r.world.script.plan(book1, attempt{dies: true})
	r.execute()
	r.requireCalls(reserve, authorize, book1, capture, together(commit, confirm))
	r.requireConfirmed()
	st := r.step(shipping.Book.Name)
	require.Equal(t, shipping.Book.Heartbeat+time.Second, st.EndedAt.Sub(st.StartedAt))
}

func TestServiceThatPanicsIsAskedAgain(t *testing.T) {
	t.Parallel()
	r := newRun(t, 1)
	r.world.script.plan(authorize, attempt{done: func() { panic("boom") }})
	r.execute()
	r.requireCalls(reserve, authorize, authorize, book1, capture, together(commit, confirm))
	r.requireConfirmed()
}

// The platform of these tests retries like the SDK's own test environment, where that does.
func TestPlatformRetriesAsTheSDKDoes(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]attempt{
		"fails finally": {{fail: inventory.ErrOutOfStock}},
		"recovers":      times(3, attempt{fail: errDown}),
		"exhausts":      times(30, attempt{fail: errDown}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bare, full := bareRun(t, 1), newRun(t, 1)
			bare.world.script.alone = true
			for _, r := range []*run{bare, full} {
				r.world.script.plan(reserve, script...)
				r.execute()
				r.requireHonestEnd()
			}
			require.Equal(t, bare.result, full.result)
			full.requireCalls(grouped(bare.world.calls)...)
			require.Equal(t, bare.step(reserve), full.step(reserve))
		})
	}
}

// grouped writes the calls that a saga makes at once together.
func grouped(calls []string) []string {
	var out []string
	for i := 0; i < len(calls); i++ {
		if i+1 < len(calls) && together(calls[i:i+2]...) == together(commit, confirm) {
			out = append(out, together(commit, confirm))
			i++
			continue
		}
		out = append(out, calls[i])
	}
	return out
}
