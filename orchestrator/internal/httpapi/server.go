// Package httpapi is the operators' API: it checks who asks, and translates.
package httpapi

import (
	"context"

	"github.com/orderflow/orderflow/orchestrator/internal/operations"
	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/page"
)

// Server implements the generated interface.
type Server struct {
	operations *operations.Operations
}

// NewServer returns the handlers of the operators' API.
func NewServer(o *operations.Operations) *Server { return &Server{operations: o} }

var _ StrictServerInterface = (*Server)(nil)

// ListSagas lists sagas by state.
func (s *Server) ListSagas(ctx context.Context, req ListSagasRequestObject) (ListSagasResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	var state saga.State
	if req.Params.State != nil {
		state = saga.State(*req.Params.State)
	}
	sagas, next, err := s.operations.List(ctx, state, page.Limit(req.Params.Limit), deref(req.Params.Cursor))
	if err != nil {
		return nil, err
	}
	res := ListSagas200JSONResponse{Items: make([]SagaSummary, len(sagas)), NextCursor: optional(next)}
	for i, it := range sagas {
		res.Items[i] = SagaSummary{
			OrderID: it.OrderID, WorkflowID: it.WorkflowID, RunID: it.RunID,
			State: SagaState(it.State), StartedAt: it.StartedAt, EndedAt: it.EndedAt,
		}
	}
	return res, nil
}

// GetSaga shows one saga's steps.
func (s *Server) GetSaga(ctx context.Context, req GetSagaRequestObject) (GetSagaResponseObject, error) {
	if err := caller.From(ctx).Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	it, err := s.operations.Get(ctx, req.OrderID)
	if err != nil {
		return nil, err
	}
	res := GetSaga200JSONResponse{OrderID: it.OrderID, State: SagaState(it.State), Steps: make([]Step, len(it.Steps))}
	for i, st := range it.Steps {
		out := Step{
			Name: st.Name, State: StepState(st.State), StartedAt: st.StartedAt, EndedAt: st.EndedAt,
			Code: optional(st.Code), Message: optional(st.Message),
		}
		if a, ok := it.Attempts[i]; ok {
			out.Attempt, out.Code, out.Message = &a.Number, optional(a.Code), optional(a.Message)
		}
		if st.Decision != nil {
			decision := taken(*st.Decision)
			out.Decision = &decision
		}
		res.Steps[i] = out
	}
	return res, nil
}

// ResolveStep takes an operator's decision about a parked step.
func (s *Server) ResolveStep(ctx context.Context, req ResolveStepRequestObject) (ResolveStepResponseObject, error) {
	who := caller.From(ctx)
	if err := who.Require(caller.ScopeOperate); err != nil {
		return nil, err
	}
	decision := saga.Decision{
		Step: req.Body.Step, Action: saga.Action(req.Body.Action), Reason: req.Body.Reason, Operator: who.Subject,
	}
	request, _ := idempotency.FromContext(ctx) // The document requires the key, and the edge has checked it.
	res, err := s.operations.Resolve(ctx, req.OrderID, request.Caller+"/"+request.Key, decision)
	if err != nil {
		return nil, err
	}
	if res.Decision != decision {
		return nil, idempotency.ErrReused
	}
	return ResolveStep200JSONResponse{
		Step: res.Decision.Step, Decision: taken(res.Decision), State: StepState(res.State),
		Code: optional(res.Code), Message: optional(res.Message),
	}, nil
}

func taken(d saga.Decision) TakenDecision {
	return TakenDecision{Action: Action(d.Action), Reason: d.Reason, Operator: d.Operator}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
