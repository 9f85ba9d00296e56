package saga_test

import (
	"testing"
	"time"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/services/orders"
)

func TestWireTypesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := began.Add(time.Minute)
	decision := saga.Decision{Step: "payments/Cancel", Action: saga.Retry, Reason: "ticket 4711", Operator: "anna"}
	contracttest.Golden(t, "input", saga.Input{OrderID: "ord_1", Order: orders.Order{
		CustomerID: "cus_1", Currency: "EUR", PaymentToken: "tok_visa",
		Lines: []orders.Line{{SKU: "MUG-1", Quantity: 2, UnitPrice: 1250}},
		ShippingAddress: orders.Address{
			Name: "Ada Lovelace", Line1: "12 St James's Square", Line2: "Top floor", City: "London",
			Region: "Greater London", PostalCode: "SW1Y 4JH", Country: "GB",
		},
	}})
	contracttest.Golden(t, "result", saga.Result{State: saga.Failed, Code: "out_of_stock", Message: "Not in stock."})
	contracttest.Golden(t, "cancel_request", saga.CancelRequest{Reason: "ordered twice", RequestedBy: "shop"})
	contracttest.Golden(t, "decision", decision)
	contracttest.Golden(t, "resolution", saga.Resolution{
		Decision: decision, State: saga.StepParked, Code: "payment_provider_unavailable", Message: "It cannot be reached.",
	})
	contracttest.Golden(t, "progress", saga.Progress{OrderID: "ord_1", State: saga.NeedsAttention, Steps: []*saga.Step{{
		Name: "payments/Cancel", State: saga.StepParked, StartedAt: began, EndedAt: &ended,
		Code: "payment_provider_unavailable", Message: "It cannot be reached.", Decision: &decision,
	}}})
}

func TestNamesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	contracttest.Contract(t,
		contracttest.Workflow[saga.Input, saga.Result](saga.WorkflowType, saga.TaskQueue, saga.WorkflowID("{order_id}")),
		contracttest.Signal[saga.CancelRequest](saga.SignalCancel),
		contracttest.Query[saga.Progress](saga.QueryProgress),
		contracttest.Update[saga.Decision, saga.Resolution](saga.UpdateResolve),
		contracttest.SearchAttribute(saga.SearchAttribute),
	)
}
