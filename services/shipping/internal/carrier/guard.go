// Package carrier protects the service from the carriers it talks to: a call that hangs ends in time, one that fails
// because the carrier is down stops others from trying for a while, and each is counted. It must not know any single
// carrier; the adapters are in the folders beneath.
package carrier

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/tracing"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

// When the breaker opens: a few parcels that a carrier cannot take must not cut off those that it can.
const (
	window        = 10 * time.Second
	openFor       = 5 * time.Second
	minCalls      = 20
	outagePercent = 60
	trialCalls    = 3
)

// Guard is a carrier behind a time-out and a circuit breaker. Only outages count as failures: a carrier that refuses an
// address works. While the breaker is open every call fails with shipping.ErrCarrierUnavailable.
type Guard struct {
	carrier shipment.Carrier
	timeout time.Duration
	breaker *gobreaker.CircuitBreaker[struct{}]
	seconds *prometheus.HistogramVec
}

var _ shipment.Carrier = (*Guard)(nil)

// NewGuard returns a guarded carrier. timeout bounds one call.
func NewGuard(c shipment.Carrier, timeout time.Duration, metrics prometheus.Registerer) *Guard {
	g := &Guard{
		carrier: c, timeout: timeout,
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Name: "carrier", MaxRequests: trialCalls, Interval: window, Timeout: openFor,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.Requests >= minCalls && c.TotalFailures*100 >= c.Requests*outagePercent
			},
			IsSuccessful: func(err error) bool { return err == nil || !isOutage(err) },
			// A caller that went away says nothing about the carrier.
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shipping_carrier_call_seconds", Help: "Calls of the carrier.",
			Buckets: []float64{.005, .025, .1, .5, 1, 2.5, 5, 10},
		}, []string{"call", "outcome"}),
	}
	metrics.MustRegister(g.seconds)
	return g
}

func isOutage(err error) bool {
	kind := errs.From(err).Kind
	return kind == errs.Unavailable || kind == errs.OutcomeUnknown || kind == errs.Internal
}

// Quote implements shipment.Carrier.
func (g *Guard) Quote(ctx context.Context, p shipment.Parcel) (shipment.Quote, error) {
	return guarded(ctx, g, "quote", shipping.ErrCarrierUnavailable, func(ctx context.Context) (shipment.Quote, error) {
		return g.carrier.Quote(ctx, p)
	})
}

// Submit implements shipment.Carrier.
func (g *Guard) Submit(ctx context.Context, key string, p shipment.Parcel) (string, error) {
	return guarded(ctx, g, "submit", shipping.ErrOutcomeUnknown, func(ctx context.Context) (string, error) {
		return g.carrier.Submit(ctx, key, p)
	})
}

// Status implements shipment.Carrier.
func (g *Guard) Status(ctx context.Context, ticket string) (shipment.Status, error) {
	return guarded(ctx, g, "status", shipping.ErrCarrierUnavailable, func(ctx context.Context) (shipment.Status, error) {
		return g.carrier.Status(ctx, ticket)
	})
}

// Cancel implements shipment.Carrier.
func (g *Guard) Cancel(ctx context.Context, ticket string) error {
	_, err := guarded(ctx, g, "cancel", shipping.ErrOutcomeUnknown, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, g.carrier.Cancel(ctx, ticket)
	})
	return err
}

// Find implements shipment.Carrier.
func (g *Guard) Find(ctx context.Context, key string) (string, bool, error) {
	type result struct {
		ticket string
		found  bool
	}
	r, err := guarded(ctx, g, "find", shipping.ErrCarrierUnavailable, func(ctx context.Context) (result, error) {
		ticket, found, err := g.carrier.Find(ctx, key)
		return result{ticket, found}, err
	})
	return r.ticket, r.found, err
}

// guarded makes one call. late is what a call becomes that ran out of time: a question may be put again, but a command
// may have been carried out.
func guarded[T any](
	ctx context.Context, g *Guard, call string, late *errs.Error, fn func(context.Context) (T, error),
) (T, error) {
	begun := time.Now()
	ctx, span := tracing.Begin(ctx, "carrier "+call, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	var result T
	_, err := g.breaker.Execute(func() (_ struct{}, err error) {
		ctx, cancel := context.WithTimeout(ctx, g.timeout)
		defer cancel()
		if result, err = fn(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = late.WithCause(err)
		}
		return struct{}{}, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = shipping.ErrCarrierUnavailable.WithCause(err)
	}
	tracing.Outcome(span, outcome(err), err == nil || !isOutage(err))
	g.seconds.WithLabelValues(call, outcome(err)).Observe(time.Since(begun).Seconds())
	if err != nil {
		var zero T
		return zero, err
	}
	return result, nil
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	default:
		return string(errs.From(err).Kind)
	}
}
