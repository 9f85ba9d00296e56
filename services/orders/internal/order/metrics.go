package order

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/tracing"
	"github.com/orderflow/orderflow/services/orders/internal/store/db"
)

// Metrics counts what happens to orders.
type Metrics struct {
	placed         prometheus.Counter
	announcedAgain prometheus.Counter
	processing     *prometheus.HistogramVec
	open           *prometheus.GaugeVec
	oldest         *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		placed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orders_placed_total", Help: "Orders accepted.",
		}),
		announcedAgain: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orders_announced_again_total",
			Help: "Announcements of orders that had not settled for long, as if their events had been lost.",
		}),
		processing: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "order_processing_seconds", Help: "Time from placing an order until it settled, by how it did.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300, 3600, 86400},
		}, []string{"status"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "orders_open", Help: "Orders that have not ended, by status. Each replica counts them all.",
		}, []string{"status"}),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "orders_open_oldest_age_seconds",
			Help: "Age of the oldest order that has not ended, by status; 0 if there is none.",
		}, []string{"status"}),
	}
	registry.MustRegister(m.placed, m.announcedAgain, m.processing, m.open, m.oldest)
	return m
}

// Measure counts the orders that have not ended and looks how old the oldest is.
func (s *Service) Measure(ctx context.Context) error {
	statuses := make([]string, 0, len(moves))
	for status := range moves {
		statuses = append(statuses, string(status))
	}
	rows, err := db.New(s.pool).CountOpen(ctx, statuses)
	if err != nil {
		return postgres.Interpret(err)
	}
	found := map[string]db.CountOpenRow{}
	for _, row := range rows {
		found[row.Status] = row
	}
	now := clock()
	for _, status := range statuses {
		row, age := found[status], 0.0
		if row.Orders > 0 {
			age = now.Sub(row.Oldest).Seconds()
		}
		s.metrics.open.WithLabelValues(status).Set(float64(row.Orders))
		s.metrics.oldest.WithLabelValues(status).Set(age)
	}
	return nil
}

func (m *Metrics) settled(ctx context.Context, o Order) {
	tracing.Observe(ctx, m.processing.WithLabelValues(string(o.Status)), o.UpdatedAt.Sub(o.PlacedAt).Seconds())
}
