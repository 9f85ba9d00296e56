// Package contract is how a service says what it offers: activities, events and failures, each declared once as a plain
// value that both sides use. The owner sets the task queue, the time-outs of one attempt and which failures are final;
// the calling workflow sets retries and the total deadline. The package knows nothing of any service.
package contract

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/pkg/errs"
)

// Activity declares a Temporal activity with its request and its response. Wire types change additively: a new field
// has a usable zero value, and golden files pin what is there.
type Activity[Req, Res any] struct {
	// Queue is the task queue that the owner's workers poll.
	Queue string
	// Name is "<service>/<Verb>". It has no dot: the SDK's replay check compares only what follows the last one.
	Name string
	// StartToClose bounds one attempt.
	StartToClose time.Duration
	// Heartbeat is set where an attempt is long: it is the silence after which the attempt counts as lost.
	Heartbeat time.Duration
	// Final lists the failures that no retry can cure, whatever the workflow's retry policy says.
	Final []*errs.Error
}

// Policy is the calling workflow's half of an activity's options.
type Policy struct {
	// Retry says how often and how fast. Which failures are final is added from the contract.
	Retry temporal.RetryPolicy
	// Deadline bounds all attempts together, waiting included; 0 means for ever.
	Deadline time.Duration
	// Priority is 1 (first) to 5 (last); 0 is the server's default.
	Priority int
}

// Start schedules the activity and returns its future result.
func (a Activity[Req, Res]) Start(ctx workflow.Context, p Policy, req Req) Future[Res] {
	retry := p.Retry
	for _, f := range a.Final {
		retry.NonRetryableErrorTypes = append(retry.NonRetryableErrorTypes, f.Code)
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              a.Queue,
		StartToCloseTimeout:    a.StartToClose,
		HeartbeatTimeout:       a.Heartbeat,
		ScheduleToCloseTimeout: p.Deadline,
		RetryPolicy:            &retry,
		// A cancelled attempt that is still running may yet have its effect. Waiting for its last word keeps an undo
		// from overtaking the step that it undoes.
		WaitForCancellation: true,
		Priority:            temporal.Priority{PriorityKey: p.Priority},
	})
	return Future[Res]{workflow.ExecuteActivity(ctx, a.Name, req)}
}

// Execute runs the activity and waits for its result. The error, if any, is an *errs.Error; a cancelled workflow
// context gives one for which temporal.IsCanceledError holds.
func (a Activity[Req, Res]) Execute(ctx workflow.Context, p Policy, req Req) (Res, error) {
	return a.Start(ctx, p, req).Get(ctx)
}

// Register tells a worker how to run the activity. Failures of fn keep their kind, code and message on the way.
func (a Activity[Req, Res]) Register(r worker.ActivityRegistry, fn func(context.Context, Req) (Res, error)) {
	r.RegisterActivityWithOptions(func(ctx context.Context, req Req) (Res, error) {
		res, err := fn(ctx, req)
		if err == nil {
			return res, nil
		}
		if why := errs.From(err); why.Kind.Retryable() {
			// What travels does not hold the cause, and whoever has to cure it needs to read it somewhere.
			activity.GetLogger(ctx).Warn("activity failed", "code", why.Code, "error", err)
		}
		return res, encodeFailure(err)
	}, activity.RegisterOptions{Name: a.Name})
}

// Future is the typed result of a started activity.
type Future[Res any] struct{ workflow.Future }

// Get waits for the result.
func (f Future[Res]) Get(ctx workflow.Context) (Res, error) {
	var res Res
	if err := f.Future.Get(ctx, &res); err != nil {
		return res, decodeFailure(err)
	}
	return res, nil
}
