package saga

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/services/orders"
)

// Action is what an operator may decide about a parked step.
type Action string

// The actions.
const (
	// Retry runs the step again, now that its cause is cured.
	Retry Action = "retry"
	// Skip goes on without the step, because it was put right by hand.
	Skip Action = "skip"
)

// Decision is the payload of UpdateResolve. It is kept in the saga's history.
type Decision struct {
	// Step names the parked activity.
	Step     string `json:"step"`
	Action   Action `json:"action"`
	Reason   string `json:"reason"`
	Operator string `json:"operator"`
}

// Resolution is the answer to UpdateResolve: the decision and what came of it.
type Resolution struct {
	Decision Decision  `json:"decision"`
	State    StepState `json:"state"`
	Code     string    `json:"code,omitempty"`
	Message  string    `json:"message,omitempty"`
}

type decision struct {
	Decision
	// became is how the step stood when the decision had been carried out.
	became *Step
}

// RejectedType is the error type of a decision that makes no sense now.
const RejectedType = "decision_rejected"

// listen answers operators.
func (s *saga) listen(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryProgress, s.progress); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateResolve, s.resolve,
		workflow.UpdateHandlerOptions{Validator: s.validate})
}

// validate rejects a decision without leaving a trace in the history.
func (s *saga) validate(d Decision) error {
	var problem string
	switch {
	case d.Action != Retry && d.Action != Skip:
		problem = fmt.Sprintf("the action %q is neither retry nor skip", d.Action)
	case strings.TrimSpace(d.Reason) == "":
		problem = "a reason must be given"
	case s.findParked(d.Step) == nil:
		problem = fmt.Sprintf("the step %q is not parked", d.Step)
	default:
		return nil
	}
	return temporal.NewNonRetryableApplicationError(problem, RejectedType, nil)
}

func (s *saga) findParked(name string) *task {
	i := slices.IndexFunc(s.parked, func(t *task) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return s.parked[i]
}

// resolve hands a decision to park and waits for what comes of it.
func (s *saga) resolve(ctx workflow.Context, in Decision) (Resolution, error) {
	d := &decision{Decision: in}
	s.decisions = append(s.decisions, d)
	// An update's context ends when somebody cancels the workflow. The decision counts all the same.
	unstoppable, _ := workflow.NewDisconnectedContext(ctx)
	if err := workflow.Await(unstoppable, func() bool { return d.became != nil }); err != nil {
		return Resolution{}, err
	}
	return Resolution{Decision: in, State: d.became.State, Code: d.became.Code, Message: d.became.Message}, nil
}

// park waits until an operator has resolved every one of the failed tasks. It returns at once where there is none.
func (s *saga) park(ctx workflow.Context, failed []*task) {
	if len(failed) == 0 {
		return
	}
	before := s.state
	s.parked = failed
	for _, t := range failed {
		s.last(t.name).State = StepParked
		countParked(ctx, t.name, stepParked)
	}
	s.enter(ctx, NeedsAttention)
	s.tellCustomer(ctx)

	// A decision that came while another one cured its step is answered too.
	for len(s.parked) > 0 || len(s.decisions) > 0 {
		// An error would mean that the context has ended, which this one cannot.
		_ = workflow.Await(ctx, func() bool { return len(s.decisions) > 0 })
		d := s.decisions[0]
		s.decisions = s.decisions[1:]
		s.decide(ctx, d)
		became := *s.last(d.Step)
		d.became = &became
	}
	s.enter(ctx, before)
}

func (s *saga) decide(ctx workflow.Context, d *decision) {
	t := s.findParked(d.Step)
	if t == nil {
		return // Two operators were at it, and the other one was first.
	}
	st := s.last(t.name)
	st.Decision = &d.Decision
	if d.Action == Skip {
		st.State = StepSkipped
	} else {
		st.State = StepFailed // It is the new call that counts from now on.
		if err := t.run(ctx); err != nil {
			s.last(t.name).State = StepParked
			return
		}
	}
	countParked(ctx, t.name, stepResolved)
	s.parked = slices.DeleteFunc(s.parked, func(p *task) bool { return p == t })
}

// tellCustomer shows the order as needs_attention. An order that is confirmed already stays so: what is parked then is
// our affair, not the customer's.
func (s *saga) tellCustomer(ctx workflow.Context) {
	_, err := step(ctx, s, orders.Park, s.policies.tell, orders.ParkRequest{
		OrderID: s.in.OrderID, Code: "needs_attention", Message: "We are looking into this order.",
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("order not shown as parked", "order", s.in.OrderID, "error", err)
	}
}
