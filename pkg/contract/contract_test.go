package contract_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
)

type order struct {
	ID    string   `json:"id"`
	Items []string `json:"items"`
}

type receipt struct {
	Number int64 `json:"number"`
}

var errTooBusy = errs.New(errs.Unavailable, "too_busy", "Please come back on Monday.")

var sell = contract.Activity[order, receipt]{
	Queue: "shop", Name: "shop/Sell", StartToClose: time.Minute, Heartbeat: 5 * time.Second,
	Final: []*errs.Error{errTooBusy},
}

// threeTries is a policy that a test can afford.
var threeTries = contract.Policy{
	Retry: temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 3,
		NonRetryableErrorTypes: []string{"enough"},
	},
	Deadline: time.Hour,
	Priority: 2,
}

// environment runs a workflow that sells something by an activity.
func environment(t *testing.T, run func(context.Context, order) (receipt, error)) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	sell.Register(env, run)
	return env
}

// execute runs the workflow to its end and returns what it got from the activity.
func execute(
	t *testing.T, env *testsuite.TestWorkflowEnvironment, a contract.Activity[order, receipt],
) (got receipt, failure error) {
	t.Helper()
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		got, failure = a.Execute(ctx, threeTries, order{ID: "ord_1", Items: []string{"tea", "milk"}})
		return nil
	})
	require.NoError(t, env.GetWorkflowError())
	return got, failure
}

func TestRequestAndResultTravel(t *testing.T) {
	t.Parallel()
	env := environment(t, func(_ context.Context, o order) (receipt, error) {
		if o.ID != "ord_1" || len(o.Items) != 2 {
			return receipt{}, fmt.Errorf("got %v", o)
		}
		return receipt{Number: 1 << 60}, nil
	})
	got, err := execute(t, env, sell)
	require.NoError(t, err)
	require.Equal(t, receipt{Number: 1 << 60}, got)
}

func TestFailureTravelsWithAllAWorkflowMayKnow(t *testing.T) {
	t.Parallel()
	for _, kind := range []errs.Kind{
		errs.Internal, errs.Malformed, errs.Invalid, errs.Unauthenticated, errs.Forbidden, errs.NotFound, errs.Conflict,
		errs.TooLarge, errs.Declined, errs.Unavailable, errs.OutcomeUnknown,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			field := errs.Field{Pointer: "/items/0", Code: "sold_out", Message: "There is no tea left."}
			declared := errs.New(kind, "no_tea", "We are out of tea.").WithFields(field)
			var attempts atomic.Int32
			env := environment(t, func(context.Context, order) (receipt, error) {
				attempts.Add(1)
				return receipt{}, fmt.Errorf("sell: %w", declared.WithCause(errors.New("password=hunter2")))
			})
			_, err := execute(t, env, sell)

			require.ErrorIs(t, err, declared)
			got := errs.From(err)
			require.Equal(t, kind, got.Kind)
			require.Equal(t, "no_tea", got.Code)
			require.Equal(t, "We are out of tea.", got.Message)
			require.Equal(t, []errs.Field{field}, got.Fields)
			require.NotContains(t, err.Error(), "hunter2", "the cause stays in the service's log")
			require.NotContains(t, err.Error(), "sell:", "so does what the service wrapped around it")
			if kind.Retryable() {
				require.EqualValues(t, 3, attempts.Load())
			} else {
				require.EqualValues(t, 1, attempts.Load())
			}
		})
	}
}

func TestFailureThatTheOwnerCallsFinalIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	env := environment(t, func(context.Context, order) (receipt, error) {
		attempts.Add(1)
		return receipt{}, errTooBusy.WithMessage("Monday is full, too.")
	})
	_, err := execute(t, env, sell)
	require.ErrorIs(t, err, errTooBusy)
	require.Equal(t, "Monday is full, too.", errs.From(err).Message)
	require.EqualValues(t, 1, attempts.Load())
}

func TestErrorOfNoKindIsInternalAndSaysNothing(t *testing.T) {
	t.Parallel()
	env := environment(t, func(context.Context, order) (receipt, error) {
		return receipt{}, errors.New("password=hunter2")
	})
	_, err := execute(t, env, sell)
	got := errs.From(err)
	require.Equal(t, errs.Internal, got.Kind)
	require.Equal(t, "internal", got.Code)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestCauseOfAFailureIsInTheLogOfItsService(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"unforeseen":  errors.New("disk on fire"),
		"unavailable": errs.New(errs.Unavailable, "closed", "We are closed.").WithCause(errors.New("disk on fire")),
		"called off":  fmt.Errorf("disk on fire: %w", context.Canceled),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines bytes.Buffer
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(&lines, nil))))
			env := suite.NewTestActivityEnvironment()
			sell.Register(env, func(context.Context, order) (receipt, error) { return receipt{}, failure })
			_, err := env.ExecuteActivity(sell.Name, order{})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "fire")
			require.Contains(t, lines.String(), "disk on fire")
		})
	}
}

func TestResultOfAFailedActivityIsDropped(t *testing.T) {
	t.Parallel()
	env := environment(t, func(context.Context, order) (receipt, error) {
		return receipt{Number: 7}, errs.New(errs.Conflict, "sold", "It is sold.")
	})
	got, err := execute(t, env, sell)
	require.Error(t, err)
	require.Zero(t, got)
}

func TestPanicIsUnclassified(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	env := environment(t, func(context.Context, order) (receipt, error) {
		attempts.Add(1)
		panic("no tea")
	})
	_, err := execute(t, env, sell)
	require.ErrorIs(t, err, contract.ErrUnclassified)
	require.Equal(t, errs.Internal, errs.From(err).Kind)
	require.Positive(t, attempts.Load())
}

func TestFailureThatNoContractMadeIsUnclassified(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"no details":      temporal.NewNonRetryableApplicationError("no tea", "no_tea", nil),
		"foreign details": temporal.NewNonRetryableApplicationError("no tea", "no_tea", nil, "tea"),
		"no kind":         temporal.NewNonRetryableApplicationError("no tea", "no_tea", nil, map[string]int{"tea": 0}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestWorkflowEnvironment()
			env.RegisterActivityWithOptions(func(context.Context, order) (receipt, error) {
				return receipt{}, failure
			}, activity.RegisterOptions{Name: sell.Name})
			_, err := execute(t, env, sell)
			require.ErrorIs(t, err, contract.ErrUnclassified)
		})
	}
}

func TestTimeOutMeansThatTheOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	hasty := sell
	hasty.StartToClose, hasty.Heartbeat = 10*time.Millisecond, 0
	env := environment(t, func(ctx context.Context, _ order) (receipt, error) {
		<-ctx.Done()
		return receipt{}, ctx.Err()
	})
	_, err := execute(t, env, hasty)
	require.ErrorIs(t, err, contract.ErrTimeout)
	require.Equal(t, errs.OutcomeUnknown, errs.From(err).Kind)
}

func TestCancellationStaysWhatItIs(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	env := environment(t, func(context.Context, order) (receipt, error) {
		close(started)
		<-release
		return receipt{}, nil
	})
	go func() {
		<-started
		env.CancelWorkflow()
	}()
	_, err := execute(t, env, sell)
	require.True(t, temporal.IsCanceledError(err), "%v", err)
}

func TestActivityThatWasCalledOffHasNotFailed(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	env := environment(t, func(context.Context, order) (receipt, error) {
		attempts.Add(1)
		return receipt{}, fmt.Errorf("sell: %w", temporal.NewCanceledError())
	})
	_, err := execute(t, env, sell)
	require.True(t, temporal.IsCanceledError(err), "%v", err)
	require.EqualValues(t, 1, attempts.Load())
}

// A worker that shuts down ends the contexts of its activities. Nobody has called them off.
func TestActivityOfAWorkerThatStopsIsTriedAgain(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int32
	env := environment(t, func(context.Context, order) (receipt, error) {
		if attempts.Add(1) == 1 {
			return receipt{}, fmt.Errorf("sell: %w", context.Canceled)
		}
		return receipt{Number: 7}, nil
	})
	got, err := execute(t, env, sell)
	require.NoError(t, err)
	require.Equal(t, receipt{Number: 7}, got)
}

func TestOptionsComeFromBothSides(t *testing.T) {
	t.Parallel()
	env := environment(t, func(context.Context, order) (receipt, error) { return receipt{}, nil })
	var o observer
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&o}})
	_, err := execute(t, env, sell)
	require.NoError(t, err)
	require.Equal(t, "shop/Sell", o.name)
	require.Equal(t, "shop", o.options.TaskQueue)
	require.Equal(t, time.Minute, o.options.StartToCloseTimeout)
	require.Equal(t, 5*time.Second, o.options.HeartbeatTimeout)
	require.Equal(t, time.Hour, o.options.ScheduleToCloseTimeout)
	require.True(t, o.options.WaitForCancellation, "an undo must not overtake its step")
	require.Equal(t, 2, o.options.Priority.PriorityKey)
	require.EqualValues(t, 3, o.options.RetryPolicy.MaximumAttempts)
	require.Equal(t, []string{"enough", "too_busy"}, o.options.RetryPolicy.NonRetryableErrorTypes)
	require.Equal(t, []string{"enough"}, threeTries.Retry.NonRetryableErrorTypes, "a policy serves many activities")
}

// observer notes how an activity is started.
type observer struct {
	interceptor.WorkerInterceptorBase
	name    string
	options workflow.ActivityOptions
}

func (o *observer) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &inbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, o}
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	observer *observer
}

func (i *inbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&outbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}, i.observer})
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	observer *observer
}

func (o *outbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o.observer.name, o.observer.options = name, workflow.GetActivityOptions(ctx)
	return o.Next.ExecuteActivity(ctx, name, args...)
}
