// Package stripe is the adapter to Stripe: a charge is a PaymentIntent that is confirmed when it is created and
// captured later. It must not know what a payment is for, nor keep anything.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	stripe "github.com/stripe/stripe-go/v85"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
)

// DefaultURL is where Stripe's API is.
const DefaultURL = stripe.APIURL

// The metadata by which we know our own again. Stripe forgets idempotency keys after a day or so; metadata stays.
const (
	metaKey   = "orderflow_key"
	metaOrder = "orderflow_order"
)

// Gateway is a payment.Gateway.
type Gateway struct {
	client *stripe.Client
}

var _ payment.Gateway = (*Gateway)(nil)

// New returns an adapter that uses the secret API key at url.
func New(apiKey, url string) *Gateway {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // It is one, by its docs.
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(url),
		// Calls are bounded by their context.
		HTTPClient: &http.Client{Transport: traced(transport)},
		// Whoever calls us looks up and tries again, and counts failures; doing so here as well would multiply both.
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   stripe.Bool(false),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return &Gateway{client: stripe.NewClient(apiKey, stripe.WithBackends(&stripe.Backends{API: backend}))}
}

// traced makes each call a span of the trace that it is for. Stripe is not told of the trace.
func traced(next http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(next,
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelhttp.WithFilter(func(r *http.Request) bool {
			return trace.SpanContextFromContext(r.Context()).IsValid()
		}))
}

// attemptKey is what Stripe knows one attempt by. It answers a repeated key with the failure that it remembers, so an
// attempt that is known to have come to nothing is followed by one with another key.
func attemptKey(ref payment.ChargeRef) string { return ref.Key + "#" + strconv.Itoa(ref.Attempt) }

// Authorize is payment.Gateway's.
func (g *Gateway) Authorize(ctx context.Context, call payment.AuthorizeCall) (payment.Charge, error) {
	params := &stripe.PaymentIntentCreateParams{
		Amount:             stripe.Int64(call.Amount.Amount),
		Currency:           stripe.String(strings.ToLower(call.Amount.Currency)),
		CaptureMethod:      stripe.String(string(stripe.PaymentIntentCaptureMethodManual)),
		PaymentMethod:      stripe.String(call.Token),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		Confirm:            stripe.Bool(true),
		// Nobody is there to answer a question of the bank.
		ErrorOnRequiresAction: stripe.Bool(true),
		Metadata:              map[string]string{metaKey: attemptKey(call.ChargeRef), metaOrder: call.OrderID},
	}
	params.SetIdempotencyKey(attemptKey(call.ChargeRef))
	intent, err := g.client.V1PaymentIntents.Create(ctx, params)
	if err == nil {
		return charge(intent)
	}
	e, ok := errors.AsType[*stripe.Error](err)
	switch {
	case !ok:
		return payment.Charge{}, failure(err)
	case e.Type == stripe.ErrorTypeCard:
		c := payment.Charge{Status: payment.StatusDeclined, Decline: decline(e)}
		if e.PaymentIntent != nil {
			c.Reference = e.PaymentIntent.ID
		}
		if c.Decline == nil {
			return payment.Charge{}, payment.ErrProcessing.WithCause(err)
		}
		return c, nil
	case rejected(e):
		// Such as an unknown payment method or an amount that is too small: no retry will change that.
		return payment.Charge{Status: payment.StatusDeclined, Decline: payments.ErrDeclined.WithCause(err)}, nil
	default:
		return payment.Charge{}, failure(err)
	}
}

// Capture is payment.Gateway's. It sends no idempotency key: an intent is captured once whatever is sent, and a key
// would only bring remembered failures back.
func (g *Gateway) Capture(ctx context.Context, ref payment.ChargeRef) (payment.Charge, error) {
	id, err := g.intentID(ctx, ref)
	if err != nil {
		return payment.Charge{}, err
	}
	intent, err := g.client.V1PaymentIntents.Capture(ctx, id, &stripe.PaymentIntentCaptureParams{})
	if err == nil {
		return charge(intent)
	}
	e, ok := errors.AsType[*stripe.Error](err)
	switch {
	case !ok:
		return payment.Charge{}, failure(err)
	case e.Code == stripe.ErrorCodePaymentIntentUnexpectedState:
		return g.retrieve(ctx, id)
	case e.Type == stripe.ErrorTypeCard, rejected(e):
		return payment.Charge{}, payments.ErrCaptureRefused.WithCause(err)
	default:
		return payment.Charge{}, failure(err)
	}
}

// Void is payment.Gateway's. It sends no idempotency key, as Capture.
func (g *Gateway) Void(ctx context.Context, ref payment.ChargeRef) (payment.Charge, error) {
	id, err := g.intentID(ctx, ref)
	if err != nil {
		return payment.Charge{}, err
	}
	intent, err := g.client.V1PaymentIntents.Cancel(ctx, id, &stripe.PaymentIntentCancelParams{})
	if err == nil {
		return charge(intent)
	}
	if e, ok := errors.AsType[*stripe.Error](err); ok && e.Code == stripe.ErrorCodePaymentIntentUnexpectedState {
		return g.retrieve(ctx, id)
	}
	return payment.Charge{}, failure(err)
}

// Refund is payment.Gateway's. A refund that Stripe has accepted and not yet paid out counts as made.
func (g *Gateway) Refund(ctx context.Context, call payment.RefundCall) error {
	id, err := g.intentID(ctx, call.Charge)
	if err != nil {
		return err
	}
	params := &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(id),
		Amount:        stripe.Int64(call.Amount.Amount),
		Metadata:      map[string]string{metaKey: call.Key, "reason": call.Reason},
	}
	params.SetIdempotencyKey(call.Key)
	refund, err := g.client.V1Refunds.Create(ctx, params)
	if err != nil {
		if e, ok := errors.AsType[*stripe.Error](err); ok && (e.Type == stripe.ErrorTypeCard || rejected(e)) {
			return payment.ErrRefundRefused.WithCause(err)
		}
		return failure(err)
	}
	if !made(refund) {
		return payment.ErrRefundRefused.WithCause(fmt.Errorf("stripe: refund %s is %s", refund.ID, refund.Status))
	}
	return nil
}

func made(r *stripe.Refund) bool {
	return r.Status != stripe.RefundStatusFailed && r.Status != stripe.RefundStatusCanceled
}

// Find is payment.Gateway's.
func (g *Gateway) Find(ctx context.Context, ref payment.ChargeRef) (payment.Charge, error) {
	id, err := g.intentID(ctx, ref)
	if err != nil {
		return payment.Charge{}, err
	}
	c, err := g.retrieve(ctx, id)
	if err != nil || c.Status != payment.StatusCaptured {
		return c, err
	}
	c.Refunds = map[string]int64{}
	params := &stripe.RefundListParams{PaymentIntent: stripe.String(id)}
	params.Limit = stripe.Int64(100)
	for refund, err := range g.client.V1Refunds.List(ctx, params).All(ctx) {
		if err != nil {
			return payment.Charge{}, failure(err)
		}
		if key := refund.Metadata[metaKey]; key != "" && made(refund) {
			c.Refunds[key] = refund.Amount
		}
	}
	return c, nil
}

func (g *Gateway) retrieve(ctx context.Context, id string) (payment.Charge, error) {
	intent, err := g.client.V1PaymentIntents.Retrieve(ctx, id, &stripe.PaymentIntentRetrieveParams{})
	if err != nil {
		if e, ok := errors.AsType[*stripe.Error](err); ok && e.HTTPStatusCode == http.StatusNotFound {
			return payment.Charge{}, payment.ErrNoCharge
		}
		return payment.Charge{}, failure(err)
	}
	return charge(intent)
}

// clockSlack is how far Stripe's clock and ours may differ.
const clockSlack = time.Minute

// intentID is the intent of a charge, or payment.ErrNoCharge. Where no answer ever told it, it is searched by metadata,
// which is fast, but misses what was made in the last minute; so what the search does not find is looked for in the
// list, which misses nothing.
func (g *Gateway) intentID(ctx context.Context, ref payment.ChargeRef) (string, error) {
	if ref.Reference != "" {
		return ref.Reference, nil
	}
	search := &stripe.PaymentIntentSearchParams{}
	search.Query = fmt.Sprintf("metadata[%q]:%q", metaKey, attemptKey(ref))
	for intent, err := range g.client.V1PaymentIntents.Search(ctx, search).All(ctx) {
		if err != nil {
			break // The list decides.
		}
		if intent.Metadata[metaKey] == attemptKey(ref) {
			return intent.ID, nil
		}
	}
	list := &stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{
		GreaterThanOrEqual: ref.Since.Add(-clockSlack).Unix(),
	}}
	if !ref.Until.IsZero() {
		list.CreatedRange.LesserThanOrEqual = ref.Until.Add(clockSlack).Unix()
	}
	list.Limit = stripe.Int64(100)
	for intent, err := range g.client.V1PaymentIntents.List(ctx, list).All(ctx) {
		if err != nil {
			return "", failure(err)
		}
		if intent.Metadata[metaKey] == attemptKey(ref) {
			return intent.ID, nil
		}
	}
	return "", payment.ErrNoCharge
}

// charge says what became of an intent.
func charge(intent *stripe.PaymentIntent) (payment.Charge, error) {
	c := payment.Charge{Reference: intent.ID}
	switch intent.Status {
	case stripe.PaymentIntentStatusRequiresCapture:
		c.Status = payment.StatusAuthorized
	case stripe.PaymentIntentStatusSucceeded:
		c.Status = payment.StatusCaptured
	case stripe.PaymentIntentStatusCanceled:
		c.Status = payment.StatusVoided
	case stripe.PaymentIntentStatusProcessing:
		return payment.Charge{}, payments.ErrOutcomeUnknown.WithCause(
			fmt.Errorf("stripe: %s is still being processed", intent.ID))
	default:
		// Waiting for a customer who is not there, or for another card: it was declined.
		c.Status, c.Decline = payment.StatusDeclined, payments.ErrDeclined
		if intent.LastPaymentError != nil {
			c.Decline = decline(intent.LastPaymentError)
		}
		if c.Decline == nil {
			// The attempt came to nothing, and Stripe says so again when it is repeated.
			return payment.Charge{}, payment.ErrNoCharge
		}
	}
	return c, nil
}

// decline says why an issuer declined, in our words. It is nil for what another attempt may cure.
func decline(e *stripe.Error) *errs.Error {
	switch e.DeclineCode { //nolint:exhaustive // All others are for the customer just a decline.
	case stripe.DeclineCodeInsufficientFunds, stripe.DeclineCodeWithdrawalCountLimitExceeded:
		return payments.ErrInsufficientFunds
	case stripe.DeclineCodeFraudulent, stripe.DeclineCodeLostCard, stripe.DeclineCodeStolenCard,
		stripe.DeclineCodePickupCard, stripe.DeclineCodeMerchantBlacklist, stripe.DeclineCodeSecurityViolation:
		return payments.ErrFraudSuspected
	case stripe.DeclineCodeProcessingError, stripe.DeclineCodeTryAgainLater, stripe.DeclineCodeIssuerNotAvailable,
		stripe.DeclineCodeReenterTransaction:
		return nil
	}
	if e.Code == stripe.ErrorCodeProcessingError {
		return nil
	}
	return payments.ErrDeclined
}
