package temporalclient

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/pkg/tracing"
)

// What Temporal's conventions have no names for: which attempt of an activity a span is, and when the workflow asked
// for the activity, so that the time that it waited in its queue can be told.
const (
	attemptKey     = attribute.Key("temporalActivityAttempt")
	scheduledEvent = "scheduled"
)

// tracer returns the interceptors that make a workflow and all that it starts part of the trace of whoever started it.
// What belongs to no trace begins none.
//
// A workflow makes one span, its own. The SDK would begin that one again each time the workflow's code is replayed, for
// a query too, and end it each time the workflow leaves the worker's cache; and it would make spans for what workflow
// code asks for, such as to start an activity, which are lost with the process, or made twice, when the worker dies in
// a workflow task. So the workflow's span is made here, once: when the workflow closes. Its id follows from its
// parent's, so that activities know it from the beginning, whichever process records it in the end.
func tracer() ([]interceptor.ClientInterceptor, error) {
	sdk, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer:                  otel.Tracer("go.temporal.io/sdk"),
		DisableQueryTracing:     true,
		DisableBaggage:          true,
		AllowInvalidParentSpans: true,
		SpanStarter:             startSpan,
	})
	if err != nil {
		return nil, fmt.Errorf("temporalclient: tracing: %w", err)
	}
	return []interceptor.ClientInterceptor{sdk, &observer{}}, nil
}

func startSpan(ctx context.Context, t trace.Tracer, name string, opts ...trace.SpanStartOption) trace.Span {
	parent := trace.SpanContextFromContext(ctx)
	if !parent.IsValid() {
		return noop.Span{}
	}
	switch operation, _, _ := strings.Cut(name, ":"); operation {
	case "RunWorkflow":
		return newLifeSpan(ctx, t, parent, name, opts)
	case "StartActivity", "HandleSignal", "ValidateUpdate", "HandleUpdate":
		return trace.SpanFromContext(ctx) // It stands for the parent and records nothing.
	default:
		_, span := t.Start(ctx, name, opts...)
		return span
	}
}

// lifeSpan is the span of a workflow from its start to its close. It is recorded at its end, if it was kept.
type lifeSpan struct {
	noop.Span
	tracer      trace.Tracer
	parent      context.Context //nolint:containedctx // a span is what a context holds
	name        string
	options     []trace.SpanStartOption
	self        trace.SpanContext
	status      codes.Code
	description string
	kept        bool
}

func newLifeSpan(
	ctx context.Context, t trace.Tracer, parent trace.SpanContext, name string, opts []trace.SpanStartOption,
) *lifeSpan {
	hash := fnv.New64a()
	id := parent.SpanID()
	_, _ = hash.Write(id[:])
	_, _ = hash.Write([]byte(name))
	return &lifeSpan{
		tracer: t, parent: ctx, name: name, options: opts,
		self: parent.WithSpanID(trace.SpanID(hash.Sum(nil))).WithRemote(false),
	}
}

// SpanContext implements trace.Span.
func (s *lifeSpan) SpanContext() trace.SpanContext { return s.self }

// SetAttributes implements trace.Span.
func (s *lifeSpan) SetAttributes(kv ...attribute.KeyValue) {
	s.options = append(s.options, trace.WithAttributes(kv...))
}

// SetStatus implements trace.Span.
func (s *lifeSpan) SetStatus(code codes.Code, description string) {
	s.status, s.description = code, description
}

// End implements trace.Span.
func (s *lifeSpan) End(opts ...trace.SpanEndOption) {
	if !s.kept {
		return
	}
	_, span := s.tracer.Start(tracing.WithSpanID(s.parent, s.self.SpanID()), s.name, s.options...)
	span.SetStatus(s.status, s.description)
	span.End(opts...)
}

// observer sees workflows close and attempts of activities begin. It stands inside of the SDK's tracing.
type observer struct{ interceptor.InterceptorBase }

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (*observer) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	w := &observedWorkflow{}
	w.Next = next
	return w
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (*observer) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	a := &observedActivity{}
	a.Next = next
	return a
}

type observedWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow implements interceptor.WorkflowInboundInterceptor. What leaves the cache is unwound and does not
// return; what is replayed has returned before.
func (w *observedWorkflow) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	res, err := w.Next.ExecuteWorkflow(ctx, in)
	if span, ok := opentelemetry.SpanFromWorkflowContext(ctx); ok && !workflow.IsReplaying(ctx) {
		if life, ok := span.(*lifeSpan); ok {
			life.kept = true
		}
	}
	return res, err
}

type observedActivity struct {
	interceptor.ActivityInboundInterceptorBase
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (a *observedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		info := activity.GetInfo(ctx)
		span.SetAttributes(attemptKey.Int(int(info.Attempt)))
		span.AddEvent(scheduledEvent, trace.WithTimestamp(info.ScheduledTime))
	}
	return a.Next.ExecuteActivity(ctx, in)
}
