package operations

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
)

// open are the states of a saga that has not ended.
var open = []saga.State{saga.Running, saga.Compensating, saga.NeedsAttention}

// Metrics counts the sagas that have not ended. Each replica counts them all.
type Metrics struct {
	sagas *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{sagas: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sagas_open", Help: "Sagas that have not ended, by state. Each replica counts them all.",
	}, []string{"state"})}
	registry.MustRegister(m.sagas)
	return m
}

// Measure counts the sagas that Temporal shows to be open.
func (o *Operations) Measure(ctx context.Context, m *Metrics) error {
	for _, state := range open {
		counted, err := o.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + saga.WorkflowType + "' AND " + queries[state],
		})
		if err != nil {
			return interpret(err)
		}
		m.sagas.WithLabelValues(string(state)).Set(float64(counted.GetCount()))
	}
	return nil
}
