package saga_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/errs"
)

// fault is what goes wrong with a call: its first attempts go like that, the others go well.
type fault struct {
	Kind  string
	Times int
	// Wait, Work and Answer are how long every attempt takes.
	Wait, Work, Answer time.Duration
	Heeds              bool
}

var (
	faultKinds = []string{"none", "none", "final", "transient", "lost", "dies", "slow", "late"}
	errFinal   = errs.New(errs.Conflict, "never", "This will never be.")
)

// seconds draws a duration.
func seconds(atMost int) *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.IntRange(0, atMost), func(n int) time.Duration { return time.Duration(n) * time.Second })
}

func anyFault(kinds ...string) *rapid.Generator[fault] {
	return rapid.Custom(func(t *rapid.T) fault {
		return fault{
			Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
			Times: rapid.SampledFrom([]int{1, 2, 3, 7, 30}).Draw(t, "times"),
			Wait:  seconds(5).Draw(t, "wait"), Work: seconds(4).Draw(t, "work"), Answer: seconds(4).Draw(t, "answer"),
			Heeds: rapid.Bool().Draw(t, "heeds"),
		}
	})
}

// script says how the attempts of a call go that are faulty, and how the others do.
func (f fault) script() (faulty []attempt, good attempt) {
	good = attempt{wait: f.Wait, work: f.Work, answer: f.Answer, heeds: f.Heeds}
	bad := good
	switch f.Kind {
	case "none":
		return nil, good
	case "final":
		bad.fail = errFinal
		return []attempt{bad}, good
	case "transient":
		bad.fail = errDown
	case "lost":
		bad.lost = true
	case "dies":
		bad.dies = true
	case "slow": // The effect comes when the time is up, and perhaps after the undo.
		bad.work += 11 * time.Minute
	case "late":
		bad.answer += 11 * time.Minute
	}
	return times(f.Times, bad), good
}

// operators look every hour for what is parked and decide, at times two of them about one step. When they have run out
// of ideas they try again: no fault lasts for ever.
type operators struct {
	*run
	decisions []saga.Action
	two       bool
	hours     int
}

func (o *operators) comeToWork() {
	const vacation = 1000
	if o.hours++; o.hours > vacation {
		return // The saga will never end, and the test environment will say so.
	}
	for _, st := range o.progress().Steps {
		if st.State != saga.StepParked {
			continue
		}
		o.decide(st.Name)
		if o.two {
			o.decide(st.Name)
		}
	}
	o.at(time.Hour, o.comeToWork)
}

func (o *operators) decide(step string) {
	action := saga.Retry
	if len(o.decisions) > 0 {
		action, o.decisions = o.decisions[0], o.decisions[1:]
	}
	o.resolve(step, action, "as good as it gets")
}

// TestEveryOrderHasOneHonestEnd checks the invariant of the whole system: confirmed if and only if the money is taken
// once, the stock committed once and every fulfilment booked once. Otherwise nothing is held, charged or booked.
func TestEveryOrderHasOneHonestEnd(t *testing.T) {
	t.Parallel()
	for i := range 2 { // in parallel
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, checkOneOrder)
		})
	}
}

func checkOneOrder(t *rapid.T) {
	r := newRun(t, rapid.IntRange(1, 3).Draw(t, "fulfilments"))
	calls := []string{
		reserve, authorize, capture, commit, confirm, release, cancelPayment, cancelBooking, closeOrder, park,
	}
	for _, f := range r.world.fulfilments {
		calls = append(calls, "shipping/Book "+f.ID)
	}
	// Most calls go well, or hardly an order would come far.
	faulty := rapid.SliceOfNDistinct(rapid.SampledFrom(calls), 0, 5, rapid.ID[string]).Draw(t, "faulty")
	for _, call := range calls {
		kinds := []string{"none"}
		if slices.Contains(faulty, call) {
			kinds = faultKinds
		}
		bad, good := anyFault(kinds...).Draw(t, call).script()
		r.world.script.plan(call, bad...)
		r.world.script.always(call, good)
	}
	if rapid.Bool().Draw(t, "signal") {
		r.at(seconds(200).Draw(t, "signal at"), r.signal)
	}
	if rapid.IntRange(0, 3).Draw(t, "cancel the workflow") == 1 {
		r.at(seconds(200).Draw(t, "cancel the workflow at"), r.env.CancelWorkflow)
	}
	o := &operators{
		run:       r,
		decisions: rapid.SliceOfN(rapid.SampledFrom([]saga.Action{saga.Retry, saga.Skip}), 0, 4).Draw(t, "decisions"),
		two:       rapid.Bool().Draw(t, "two operators"),
	}
	r.at(time.Hour, o.comeToWork)
	r.execute()
	r.requireHonestEnd()
}
