package saga

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/pkg/errs"
)

// State of a saga.
type State string

// The states.
const (
	Running        State = "running"
	Compensating   State = "compensating"
	NeedsAttention State = "needs_attention"
	Confirmed      State = "confirmed"
	Cancelled      State = "cancelled"
	Failed         State = "failed"
)

// SearchAttribute shows the state in Temporal's visibility. It is set where a saga leaves the straight way: most never
// do, and an attribute costs an event in the history.
var SearchAttribute = temporal.NewSearchAttributeKeyKeyword("SagaState")

// StepState tells how one call of an activity stands.
type StepState string

// The states of a step.
const (
	StepRunning   StepState = "running"
	StepDone      StepState = "done"
	StepFailed    StepState = "failed"
	StepCancelled StepState = "cancelled"
	// StepParked waits for an operator.
	StepParked StepState = "parked"
	// StepSkipped was given up by an operator, who put things right by hand.
	StepSkipped StepState = "skipped"
)

// Step is one call of an activity with all its attempts.
type Step struct {
	// Name of the activity.
	Name      string     `json:"name"`
	State     StepState  `json:"state"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
	// Code and Message say why, where the step failed.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Decision is what an operator decided about the step.
	Decision *Decision `json:"decision,omitempty"`
}

// Progress is the answer to QueryProgress.
type Progress struct {
	OrderID string  `json:"order_id"`
	State   State   `json:"state"`
	Steps   []*Step `json:"steps"`
}

func (s *saga) progress() (Progress, error) {
	return Progress{OrderID: s.in.OrderID, State: s.state, Steps: s.steps}, nil
}

// enter changes the state where operators look for it.
func (s *saga) enter(ctx workflow.Context, state State) {
	s.state, s.shown = state, true
	if err := workflow.UpsertTypedSearchAttributes(ctx, SearchAttribute.ValueSet(string(state))); err != nil {
		workflow.GetLogger(ctx).Error("search attribute not set", "state", state, "error", err)
	}
}

func (s *saga) begin(ctx workflow.Context, name string) *Step {
	st := &Step{Name: name, State: StepRunning, StartedAt: workflow.Now(ctx)}
	s.steps = append(s.steps, st)
	return st
}

func (st *Step) end(ctx workflow.Context, err error) {
	now := workflow.Now(ctx)
	defer func() { measureStep(ctx, st) }()
	st.EndedAt = &now
	switch {
	case err == nil:
		st.State = StepDone
	case temporal.IsCanceledError(err):
		st.State = StepCancelled
	default:
		st.State = StepFailed
		why := errs.From(err)
		st.Code, st.Message = why.Code, why.Message
	}
}

// last returns the latest call of an activity, or nil.
func (s *saga) last(name string) *Step {
	for i := len(s.steps) - 1; i >= 0; i-- {
		if s.steps[i].Name == name {
			return s.steps[i]
		}
	}
	return nil
}
