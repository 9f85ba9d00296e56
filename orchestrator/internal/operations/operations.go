// Package operations shows operators how sagas stand and lets them put right those that are parked. It reads Temporal
// and nothing else: the saga is the truth about itself.
package operations

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/page"
)

// Broken is the state of a saga that was closed by force and did not reach an end. A saga never says it of itself.
const Broken saga.State = "broken"

// The failures.
var (
	ErrSagaNotFound = errs.New(errs.NotFound, "saga_not_found", "There is no saga for this order.")
	ErrRejected     = errs.New(errs.Conflict, "decision_rejected", "The decision makes no sense now.")
	ErrPending      = errs.New(errs.Unavailable, "decision_pending",
		"The decision is taken, but not carried out yet. Ask again with the same Idempotency-Key.")
	ErrTemporal = errs.New(errs.Unavailable, "temporal_unavailable", "The workflow engine cannot be reached.")
	ErrSilent   = errs.New(errs.Unavailable, "saga_version_silent",
		"No orchestrator of the version that the saga belongs to answers.")
)

// Summary is one saga in a list.
type Summary struct {
	OrderID    string
	WorkflowID string
	RunID      string
	State      saga.State
	StartedAt  time.Time
	EndedAt    *time.Time
}

// Saga is one saga with its steps.
type Saga struct {
	saga.Progress
	// Attempts tells of the steps that are running, by their index in Steps.
	Attempts map[int]Attempt
}

// Attempt is what Temporal knows of a running step.
type Attempt struct {
	// Number counts from 1.
	Number int32
	// Code and Message tell how the attempt before failed.
	Code, Message string
}

// resolvePatience is how long an operator's call stays open.
const resolvePatience = 20 * time.Second

// Operations answers operators.
type Operations struct {
	client client.Client
}

// New returns the operations on the sagas that client sees.
func New(c client.Client) *Operations { return &Operations{client: c} }

// queries select sagas by state. What left the straight way carries a search attribute.
var queries = map[saga.State]string{
	saga.Running:        "ExecutionStatus = 'Running' AND (SagaState IS NULL OR SagaState = 'running')",
	saga.Compensating:   "ExecutionStatus = 'Running' AND SagaState = 'compensating'",
	saga.NeedsAttention: "ExecutionStatus = 'Running' AND SagaState = 'needs_attention'",
	saga.Confirmed:      "ExecutionStatus = 'Completed' AND (SagaState IS NULL OR SagaState = 'confirmed')",
	saga.Cancelled:      "ExecutionStatus = 'Completed' AND SagaState = 'cancelled'",
	saga.Failed:         "ExecutionStatus = 'Completed' AND SagaState = 'failed'",
	Broken:              "ExecutionStatus IN ('Failed', 'Canceled', 'Terminated', 'TimedOut')",
}

// List returns a page of sagas and the cursor of the next page, or "". Those that run come first, newest first, then
// those that have ended, latest first. state may be "" for all.
func (o *Operations) List(ctx context.Context, state saga.State, limit int, cursor string) ([]Summary, string, error) {
	query := "WorkflowType = '" + saga.WorkflowType + "'"
	if state != "" {
		query += " AND " + queries[state]
	}
	token, err := openCursor(cursor, state)
	if err != nil {
		return nil, "", err
	}
	found, err := o.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(limit), //nolint:gosec // The API's document limits it to 100.
		Query:    query, NextPageToken: token,
	})
	if err != nil {
		return nil, "", interpret(err)
	}
	sagas := make([]Summary, len(found.GetExecutions()))
	for i, info := range found.GetExecutions() {
		sagas[i] = summarize(info)
	}
	return sagas, newCursor(found.GetNextPageToken(), state), nil
}

// newCursor wraps Temporal's token in a cursor like that of every other list: it expires, belongs to its filter, and
// what is none is recognized here. Temporal takes a token that it cannot read for a failure of its own.
func newCursor(token []byte, state saga.State) string {
	if len(token) == 0 {
		return ""
	}
	return page.Encode(page.Position{Time: time.Now(), ID: base64.StdEncoding.EncodeToString(token)}, string(state))
}

func openCursor(cursor string, state saga.State) (token []byte, err error) {
	if cursor == "" {
		return nil, nil
	}
	pos, err := page.Decode(cursor, string(state), time.Now())
	if err != nil {
		return nil, err
	}
	if token, err = base64.StdEncoding.DecodeString(pos.ID); err != nil {
		return nil, page.ErrMalformed.WithCause(err)
	}
	return token, nil
}

func summarize(info *workflowpb.WorkflowExecutionInfo) Summary {
	s := Summary{
		OrderID:    strings.TrimPrefix(info.GetExecution().GetWorkflowId(), saga.WorkflowID("")),
		WorkflowID: info.GetExecution().GetWorkflowId(),
		RunID:      info.GetExecution().GetRunId(),
		State:      stateOf(info.GetStatus(), info.GetSearchAttributes()),
		StartedAt:  info.GetStartTime().AsTime(),
	}
	if info.GetCloseTime() != nil {
		ended := info.GetCloseTime().AsTime()
		s.EndedAt = &ended
	}
	return s
}

func stateOf(status enumspb.WorkflowExecutionStatus, attributes *commonpb.SearchAttributes) saga.State {
	state := saga.Running
	if p := attributes.GetIndexedFields()[saga.SearchAttribute.GetName()]; p != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(p, &state) // Temporal checked its type when it was set.
	}
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return state
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		if state == saga.Running {
			return saga.Confirmed
		}
		return state
	default:
		return Broken
	}
}

// Get returns the saga of an order, ErrSagaNotFound, or ErrSilent where nobody runs the code that the saga ran under:
// its version was stopped, before the saga ended or since.
func (o *Operations) Get(ctx context.Context, orderID string) (Saga, error) {
	answer, err := o.client.QueryWorkflow(ctx, saga.WorkflowID(orderID), "", saga.QueryProgress)
	if isSilence(err) {
		return Saga{}, ErrSilent.WithCause(err)
	}
	if err != nil {
		return Saga{}, interpret(err)
	}
	s := Saga{Attempts: map[int]Attempt{}}
	if err := answer.Get(&s.Progress); err != nil {
		return Saga{}, fmt.Errorf("operations: decode progress: %w", err)
	}
	execution, err := o.client.DescribeWorkflowExecution(ctx, saga.WorkflowID(orderID), "")
	if err != nil {
		return Saga{}, interpret(err)
	}
	if stateOf(execution.GetWorkflowExecutionInfo().GetStatus(), nil) == Broken {
		s.State = Broken
	}
	pending := execution.GetPendingActivities()
	for i, st := range s.Steps {
		if st.State != saga.StepRunning {
			continue
		}
		for j, p := range pending {
			if p.GetActivityType().GetName() == st.Name {
				s.Attempts[i] = Attempt{
					Number:  p.GetAttempt(),
					Code:    p.GetLastFailure().GetApplicationFailureInfo().GetType(),
					Message: p.GetLastFailure().GetMessage(),
				}
				pending = append(pending[:j:j], pending[j+1:]...)
				break
			}
		}
	}
	return s, nil
}

// Resolve carries out an operator's decision about a parked step. key makes it idempotent: with the same key the same
// decision is carried out once. It returns ErrRejected where the step is not parked, and ErrPending where the decision
// was not carried out within 20 s: a step that is tried again may fail for minutes before it is parked again.
func (o *Operations) Resolve(ctx context.Context, orderID, key string, d saga.Decision) (saga.Resolution, error) {
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	handle, err := o.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: saga.WorkflowID(orderID), UpdateID: key, UpdateName: saga.UpdateResolve,
		Args: []any{d}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	var res saga.Resolution
	if err == nil {
		err = handle.Get(ctx, &res)
	}
	if err == nil {
		return res, nil
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.Type() == saga.RejectedType {
		return res, ErrRejected.WithMessage("Rejected: %s.", app.Message())
	}
	if _, timeout := errors.AsType[*client.WorkflowUpdateServiceTimeoutOrCanceledError](err); timeout {
		return res, ErrPending.WithCause(err)
	}
	if _, notFound := errors.AsType[*serviceerror.NotFound](err); notFound {
		// Temporal says the same of a saga that has ended.
		if _, err = o.client.DescribeWorkflowExecution(ctx, saga.WorkflowID(orderID), ""); err == nil {
			return res, ErrRejected.WithMessage("Rejected: the saga has ended.")
		}
	}
	return res, interpret(err)
}

// isSilence reports whether a query found no worker. Temporal refuses a query where it knows that the version has none,
// and waits in vain before it knows.
func isSilence(err error) bool {
	_, refused := errors.AsType[*serviceerror.FailedPrecondition](err)
	_, waited := errors.AsType[*serviceerror.DeadlineExceeded](err)
	return refused || waited
}

func interpret(err error) error {
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return ErrSagaNotFound
	}
	if _, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok {
		return fmt.Errorf("operations: %w", err)
	}
	return ErrTemporal.WithCause(err)
}
