package stock

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	reservations *prometheus.CounterVec
	imported     prometheus.Counter
	held         prometheus.Gauge
}

// The outcomes that are counted beside the states.
const outcomeOutOfStock = "out_of_stock"

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		reservations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inventory_reservations_total",
			Help: "Reservations by the state they got into, and those refused (out_of_stock).",
		}, []string{"outcome"}),
		imported: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inventory_imported_lines_total",
			Help: "Lines of stock taken over by imports.",
		}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inventory_reservations_held",
			Help: "Reservations that are held now. Each replica counts them all.",
		}),
	}
	for _, s := range States {
		m.reservations.WithLabelValues(string(s))
	}
	m.reservations.WithLabelValues(outcomeOutOfStock)
	reg.MustRegister(m.reservations, m.imported, m.held)
	return m
}

func (m metrics) reached(s State, n int) {
	m.reservations.WithLabelValues(string(s)).Add(float64(n))
}
