package saga_test

import (
	"errors"
	"math"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
)

// platform plays those parts of the Temporal server that the SDK's test environment leaves out, in skipped time:
// attempts that wait, take long, come late or never answer, time-outs that are retried, and a cancelled activity whose
// end is waited for. The test environment would cancel an activity at once whatever its options say, time attempts by
// the wall clock, and not retry one that timed out.
type platform struct {
	interceptor.WorkerInterceptorBase
	world *world
	// prelude runs in the first workflow task, before the saga.
	prelude func(workflow.Context)
}

func (p *platform) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &inbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, p}
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	platform *platform
}

func (i *inbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&outbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}, i.platform.world})
}

func (i *inbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if i.platform.prelude != nil {
		i.platform.prelude(ctx)
	}
	return i.Next.ExecuteWorkflow(ctx, in)
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	world *world
}

// UpsertTypedSearchAttributes notes what operators would see.
func (o *outbound) UpsertTypedSearchAttributes(
	ctx workflow.Context, updates ...temporal.SearchAttributeUpdate,
) error {
	state, _ := temporal.NewSearchAttributes(updates...).GetKeyword(saga.SearchAttribute)
	o.world.shown = append(o.world.shown, saga.State(state))
	return o.Next.UpsertTypedSearchAttributes(ctx, updates...)
}

// ExecuteActivity schedules an activity. Its future is set once, by whatever comes first.
func (o *outbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	future, settable := workflow.NewFuture(ctx)
	s := &scheduled{
		outbound: o, off: ctx, name: name, args: args, key: key(args[0]), options: workflow.GetActivityOptions(ctx),
	}
	free, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(free, func(free workflow.Context) {
		answer, err := s.run(free)
		switch {
		case future.IsReady(): // Nobody waited for it.
		case err != nil:
			settable.SetError(err)
		default:
			settable.Chain(answer)
		}
	})
	if !s.options.WaitForCancellation {
		workflow.Go(free, func(free workflow.Context) {
			ctx.Done().Receive(free, nil)
			if !future.IsReady() {
				settable.SetError(temporal.NewCanceledError())
			}
		})
	}
	return future
}

// scheduled is one activity with all its attempts.
type scheduled struct {
	*outbound
	// off ends when the workflow calls the activity off. The contexts that its methods take never end.
	off       workflow.Context
	name, key string
	args      []any
	options   workflow.ActivityOptions
}

// run makes attempts until one succeeds, fails for good, or no other is due.
func (s *scheduled) run(ctx workflow.Context) (workflow.Future, error) {
	begin := workflow.Now(ctx)
	deadline := s.options.ScheduleToCloseTimeout
	for n := int32(1); ; n++ {
		a := s.world.script.next(s.key)
		if a.queued != nil {
			a.queued()
		}
		// What no worker has begun is cancelled at once.
		if err := s.pause(ctx, a.wait); err != nil {
			return nil, err
		}
		limit := s.options.StartToCloseTimeout
		if deadline > 0 {
			limit = min(limit, deadline-workflow.Now(ctx).Sub(begin))
		}
		answer, err := s.attempt(ctx, a, limit)
		if err == nil || s.off.Err() != nil { // What is called off is not tried again.
			return answer, err
		}
		backoff := s.backoff(n)
		over := deadline > 0 && workflow.Now(ctx).Sub(begin)+backoff >= deadline
		if over || n == s.options.RetryPolicy.MaximumAttempts || !s.retryable(err) {
			return nil, err
		}
		if a.failed != nil {
			a.failed()
		}
		if err := s.pause(ctx, backoff); err != nil {
			return nil, err
		}
	}
}

// pause waits and ends early when the activity is called off.
func (s *scheduled) pause(ctx workflow.Context, d time.Duration) error {
	ctx, stop := workflow.WithCancel(ctx)
	defer stop()
	workflow.NewSelector(ctx).
		AddReceive(s.off.Done(), func(workflow.ReceiveChannel, bool) {}).
		AddFuture(workflow.NewTimer(ctx, d), func(workflow.Future) {}).
		Select(ctx)
	return s.off.Err()
}

// attempt waits for a worker's answer or for the time-out.
func (s *scheduled) attempt(ctx workflow.Context, a attempt, limit time.Duration) (workflow.Future, error) {
	if silence := s.options.HeartbeatTimeout; silence > 0 && (a.lost || a.dies) {
		limit = min(limit, a.work+silence)
	}
	answered, settable := workflow.NewFuture(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) { s.work(ctx, a, settable) })

	timed, stop := workflow.WithCancel(ctx)
	defer stop()
	workflow.NewSelector(ctx).
		AddFuture(answered, func(workflow.Future) {}).
		AddFuture(workflow.NewTimer(timed, limit), func(workflow.Future) {}).
		Select(ctx)
	if !answered.IsReady() {
		return nil, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	}
	return answered, answered.Get(ctx, nil)
}

// work is what a worker does with an attempt. It goes on although whoever waits for it may have given up meanwhile.
func (s *scheduled) work(ctx workflow.Context, a attempt, answer workflow.Settable) {
	if a.begun != nil {
		a.begun()
	}
	sleep := workflow.Sleep
	if a.heeds { // The worker heartbeats, is told, and gives up where it stands.
		sleep = s.pause
	}
	if a.dies {
		return
	}
	effect := s.world.expect(s.args[0], a)
	err := sleep(ctx, a.work)
	s.world.forget(effect)
	if err != nil {
		answer.SetError(err)
		return
	}
	once := workflow.GetActivityOptions(ctx)
	once.RetryPolicy = &temporal.RetryPolicy{MaximumAttempts: 1}
	s.world.script.handOver(s.key, a)
	result := s.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, once), s.name, s.args...)
	_ = result.Get(ctx, nil) // The caller gets the error with the result.
	if a.lost {
		return
	}
	if err := sleep(ctx, a.answer); err != nil {
		answer.SetError(err)
		return
	}
	answer.Chain(result)
}

func (s *scheduled) backoff(n int32) time.Duration {
	p := s.options.RetryPolicy
	d := float64(p.InitialInterval) * math.Pow(p.BackoffCoefficient, float64(n-1))
	return time.Duration(min(d, float64(p.MaximumInterval)))
}

func (s *scheduled) retryable(err error) bool {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return !app.NonRetryable() && !slices.Contains(s.options.RetryPolicy.NonRetryableErrorTypes, app.Type())
	}
	return !temporal.IsCanceledError(err)
}
