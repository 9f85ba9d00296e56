package saga

import "go.temporal.io/sdk/workflow"

// The metrics go through the workflow's own handler, which keeps silent while history is replayed. Labels are the names
// of activities and of states, which are few.

// measureStep records how long a step took with all its attempts: saga_step_latency_seconds.
func measureStep(ctx workflow.Context, st *Step) {
	tags := map[string]string{"step": st.Name, "state": string(st.State)}
	workflow.GetMetricsHandler(ctx).WithTags(tags).Timer("saga_step_latency").Record(st.EndedAt.Sub(st.StartedAt))
}

// What happens to compensations, and to whatever else waits for an operator.
const (
	compensationStarted = "started"
	compensationFailed  = "failed"
	compensationDone    = "done"
	stepParked          = "parked"
	stepResolved        = "resolved"
)

// countUndo counts compensations by what became of them: saga_compensations_total.
func countUndo(ctx workflow.Context, name, what string) {
	count(ctx, "saga_compensations", name, what)
}

// countParked counts the steps that were parked for an operator and those that an operator resolved:
// saga_parked_steps_total.
func countParked(ctx workflow.Context, name, what string) {
	count(ctx, "saga_parked_steps", name, what)
}

func count(ctx workflow.Context, metric, step, what string) {
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"step": step, "what": what}).Counter(metric).Inc(1)
}
