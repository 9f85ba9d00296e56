// Package gateway stands between the domain and whichever payment provider is configured: it cuts off a provider that
// keeps failing, so that callers hear "later" at once, and counts how calls end. It must not know what a payment is
// for.
package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/tracing"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// A breaker opens when, within the window, there were enough calls to judge by and most of them failed. It lets a call
// through again after the pause.
const (
	window         = 30 * time.Second
	windowBucket   = 3 * time.Second
	pause          = 5 * time.Second
	enoughCalls    = 20
	tooManyFailing = 0.5
)

// Guarded is a payment.Gateway with a circuit breaker for each operation: a provider whose voids fail can still
// authorize.
type Guarded struct {
	next     payment.Gateway
	breakers map[string]*gobreaker.CircuitBreaker[payment.Charge]
	calls    *prometheus.HistogramVec
}

// Guard returns next behind circuit breakers, with metrics in the registry.
func Guard(next payment.Gateway, registry prometheus.Registerer) *Guarded {
	g := &Guarded{
		next:     next,
		breakers: map[string]*gobreaker.CircuitBreaker[payment.Charge]{},
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "payments_gateway_call_seconds",
			Help:    "Calls to the payment provider, by how they ended.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 9),
		}, []string{"operation", "result"}),
	}
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "payments_gateway_breaker_open",
		Help: "1 while calls to the payment provider are cut off because too many failed.",
	}, []string{"operation"})
	registry.MustRegister(g.calls, open)
	for _, operation := range []string{"authorize", "capture", "void", "refund", "find"} {
		open.WithLabelValues(operation).Set(0)
		g.breakers[operation] = gobreaker.NewCircuitBreaker[payment.Charge](gobreaker.Settings{
			Name: operation, MaxRequests: 1, Interval: window, BucketPeriod: windowBucket, Timeout: pause,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.Requests >= enoughCalls && float64(c.TotalFailures) >= tooManyFailing*float64(c.Requests)
			},
			OnStateChange: func(name string, _, to gobreaker.State) {
				value := 0.0
				if to == gobreaker.StateOpen {
					value = 1
				}
				open.WithLabelValues(name).Set(value)
			},
			IsSuccessful: healthy,
		})
	}
	return g
}

// healthy reports whether the provider did its work, even if its answer is no.
func healthy(err error) bool {
	return err == nil || errors.Is(err, payment.ErrNoCharge) || errs.From(err).Kind == errs.Declined
}

func (g *Guarded) call(
	ctx context.Context, operation string, fn func(context.Context) (payment.Charge, error),
) (payment.Charge, error) {
	start := time.Now()
	ctx, span := tracing.Begin(ctx, "payment provider "+operation, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	charge, err := g.breakers[operation].Execute(func() (payment.Charge, error) { return fn(ctx) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = payments.ErrProviderUnavailable.WithCause(err)
	}
	res := result(charge, err)
	tracing.Outcome(span, res, healthy(err))
	g.calls.WithLabelValues(operation, res).Observe(time.Since(start).Seconds())
	return charge, err
}

func result(charge payment.Charge, err error) string {
	switch kind := errs.From(err).Kind; {
	case errors.Is(err, payment.ErrNoCharge):
		return "not_found"
	case err == nil && charge.Status == payment.StatusDeclined, err != nil && kind == errs.Declined:
		return "declined"
	case err == nil:
		return "ok"
	case kind == errs.Unavailable:
		return "unavailable"
	default:
		return "unknown"
	}
}

// Authorize is payment.Gateway's.
func (g *Guarded) Authorize(ctx context.Context, call payment.AuthorizeCall) (payment.Charge, error) {
	return g.call(ctx, "authorize", func(ctx context.Context) (payment.Charge, error) {
		return g.next.Authorize(ctx, call)
	})
}

// Capture is payment.Gateway's.
func (g *Guarded) Capture(ctx context.Context, ref payment.ChargeRef) (payment.Charge, error) {
	return g.call(ctx, "capture", func(ctx context.Context) (payment.Charge, error) {
		return g.next.Capture(ctx, ref)
	})
}

// Void is payment.Gateway's.
func (g *Guarded) Void(ctx context.Context, ref payment.ChargeRef) (payment.Charge, error) {
	return g.call(ctx, "void", func(ctx context.Context) (payment.Charge, error) {
		return g.next.Void(ctx, ref)
	})
}

// Refund is payment.Gateway's.
func (g *Guarded) Refund(ctx context.Context, call payment.RefundCall) error {
	_, err := g.call(ctx, "refund", func(ctx context.Context) (payment.Charge, error) {
		return payment.Charge{}, g.next.Refund(ctx, call)
	})
	return err
}

// Find is payment.Gateway's.
func (g *Guarded) Find(ctx context.Context, ref payment.ChargeRef) (payment.Charge, error) {
	return g.call(ctx, "find", func(ctx context.Context) (payment.Charge, error) {
		return g.next.Find(ctx, ref)
	})
}
