package temporalclient

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/orderflow/orderflow/pkg/tracing/tracingtest"
)

const (
	workflowType = "Errand"
	signalName   = "go"
	parentSpan   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// errand runs an activity and waits for a signal.
func errand(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	if err := workflow.ExecuteActivity(ctx, walk).Get(ctx, nil); err != nil {
		return err
	}
	workflow.GetSignalChannel(ctx, signalName).Receive(ctx, nil)
	return nil
}

func walk(context.Context) error { return nil }

// header is what a traced client sends with a workflow.
func header(t *testing.T, traceparent string) *commonpb.Header {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(map[string]string{"traceparent": traceparent})
	require.NoError(t, err)
	return &commonpb.Header{Fields: map[string]*commonpb.Payload{"_tracer-data": payload}}
}

func interceptors(t *testing.T) (list []interceptor.WorkerInterceptor) {
	t.Helper()
	all, err := tracer()
	require.NoError(t, err)
	for _, i := range all {
		worker, ok := i.(interceptor.WorkerInterceptor)
		require.True(t, ok)
		list = append(list, worker)
	}
	return list
}

// run runs the workflow to its end, as a worker does for the first time.
func run(t *testing.T, header *commonpb.Header, fn func(workflow.Context) error) {
	t.Helper()
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetHeader(header)
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: interceptors(t)})
	env.RegisterWorkflowWithOptions(fn, workflow.RegisterOptions{Name: workflowType})
	env.RegisterActivity(walk)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(signalName, nil) }, time.Second)
	env.ExecuteWorkflow(workflowType)
	require.True(t, env.IsWorkflowCompleted())
}

func TestAWorkflowIsOneSpanAndItsActivitiesAreItsChildren(t *testing.T) { //nolint:paralleltest // It sets variables.
	c := tracingtest.Start(t)
	run(t, header(t, parentSpan), errand)
	spans := byName(t, c.Spans(t))
	require.Len(t, spans, 2)
	life, attempt := spans["RunWorkflow:"+workflowType], spans["RunActivity:walk"]
	require.Equal(t, []byte{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31}, life.GetParentSpanId())
	require.Equal(t, life.GetSpanId(), attempt.GetParentSpanId())
	require.Equal(t, life.GetTraceId(), attempt.GetTraceId())
	require.Equal(t, scheduledEvent, attempt.GetEvents()[0].GetName())
	require.Equal(t, string(attemptKey), attempt.GetAttributes()[len(attempt.GetAttributes())-1].GetKey())
}

func TestAWorkflowThatFailsSaysSoOnItsSpan(t *testing.T) { //nolint:paralleltest // It sets variables.
	c := tracingtest.Start(t)
	run(t, header(t, parentSpan), func(workflow.Context) error { return errors.New("lost the way") })
	life := byName(t, c.Spans(t))["RunWorkflow:"+workflowType]
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, life.GetStatus().GetCode())
	require.Contains(t, life.GetStatus().GetMessage(), "lost the way")
}

func TestAWorkflowThatNobodyTracesMakesNoSpans(t *testing.T) { //nolint:paralleltest // It sets variables.
	c := tracingtest.Start(t)
	run(t, &commonpb.Header{}, errand)
	require.Empty(t, c.Spans(t))
}

// TestAReplayMakesNoSpans replays a workflow that has ended, as a query does, and one that has not, which is unwound
// afterwards as one is that leaves the cache.
func TestAReplayMakesNoSpans(t *testing.T) { //nolint:paralleltest // It sets variables.
	//nolint:paralleltest // See above.
	for name, ended := range map[string]bool{"ended": true, "evicted": false} {
		t.Run(name, func(t *testing.T) {
			c := tracingtest.Start(t)
			replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
				Interceptors: interceptors(t),
			})
			require.NoError(t, err)
			runs := 0
			replayer.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
				runs++
				return errand(ctx)
			}, workflow.RegisterOptions{Name: workflowType})
			require.NoError(t, replayer.ReplayWorkflowHistory(nil, history(t, ended)))
			require.Equal(t, 1, runs)
			require.Empty(t, c.Spans(t))
		})
	}
}

// history of an errand.
func history(t *testing.T, ended bool) *historypb.History {
	t.Helper()
	queue := &taskqueuepb.TaskQueue{Name: "errands"}
	h := &historypb.History{}
	add := func(kind enumspb.EventType, e *historypb.HistoryEvent) {
		e.EventId, e.EventType = int64(len(h.Events)+1), kind
		e.EventTime = timestamppb.New(time.Unix(1_800_000_000+e.EventId, 0))
		h.Events = append(h.Events, e)
	}
	task := func() {
		n := int64(len(h.Events))
		add(enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, &historypb.HistoryEvent{
			Attributes: &historypb.HistoryEvent_WorkflowTaskScheduledEventAttributes{
				WorkflowTaskScheduledEventAttributes: &historypb.WorkflowTaskScheduledEventAttributes{TaskQueue: queue},
			},
		})
		add(enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED, &historypb.HistoryEvent{
			Attributes: &historypb.HistoryEvent_WorkflowTaskStartedEventAttributes{
				WorkflowTaskStartedEventAttributes: &historypb.WorkflowTaskStartedEventAttributes{ScheduledEventId: n + 1},
			},
		})
		add(enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, &historypb.HistoryEvent{
			Attributes: &historypb.HistoryEvent_WorkflowTaskCompletedEventAttributes{
				WorkflowTaskCompletedEventAttributes: &historypb.WorkflowTaskCompletedEventAttributes{
					ScheduledEventId: n + 1, StartedEventId: n + 2,
				},
			},
		})
	}
	add(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, &historypb.HistoryEvent{
		Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{
				WorkflowType: &commonpb.WorkflowType{Name: workflowType}, TaskQueue: queue, Header: header(t, parentSpan),
			},
		},
	})
	task()
	add(enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, &historypb.HistoryEvent{
		Attributes: &historypb.HistoryEvent_ActivityTaskScheduledEventAttributes{
			ActivityTaskScheduledEventAttributes: &historypb.ActivityTaskScheduledEventAttributes{
				ActivityId: "5", ActivityType: &commonpb.ActivityType{Name: "walk"}, TaskQueue: queue,
				WorkflowTaskCompletedEventId: 4,
			},
		},
	})
	add(enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED, &historypb.HistoryEvent{
		Attributes: &historypb.HistoryEvent_ActivityTaskStartedEventAttributes{
			ActivityTaskStartedEventAttributes: &historypb.ActivityTaskStartedEventAttributes{ScheduledEventId: 5},
		},
	})
	add(enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, &historypb.HistoryEvent{
		Attributes: &historypb.HistoryEvent_ActivityTaskCompletedEventAttributes{
			ActivityTaskCompletedEventAttributes: &historypb.ActivityTaskCompletedEventAttributes{
				ScheduledEventId: 5, StartedEventId: 6,
			},
		},
	})
	task()
	if !ended {
		return h
	}
	add(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, &historypb.HistoryEvent{
		Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{
				SignalName: signalName, Header: header(t, parentSpan),
			},
		},
	})
	task()
	add(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, &historypb.HistoryEvent{
		Attributes: &historypb.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
			WorkflowExecutionCompletedEventAttributes: &historypb.WorkflowExecutionCompletedEventAttributes{
				WorkflowTaskCompletedEventId: int64(len(h.Events)),
			},
		},
	})
	return h
}

func byName(t *testing.T, spans []*tracepb.Span) map[string]*tracepb.Span {
	t.Helper()
	found := map[string]*tracepb.Span{}
	for _, s := range spans {
		require.NotContains(t, found, s.GetName())
		found[s.GetName()] = s
	}
	return found
}
