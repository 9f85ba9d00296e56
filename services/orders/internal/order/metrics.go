package order

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what happens to orders.
type Metrics struct {
	placed         prometheus.Counter
	announcedAgain prometheus.Counter
	processing     *prometheus.HistogramVec
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
	}
	registry.MustRegister(m.placed, m.announcedAgain, m.processing)
	return m
}

func (m *Metrics) settled(o Order) {
	m.processing.WithLabelValues(string(o.Status)).Observe(o.UpdatedAt.Sub(o.PlacedAt).Seconds())
}
