package eventbus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
)

// DeadLetters is the stream of what no consumer could handle, for people to look at: the message as it came, under the
// subject "deadletter.<durable>", with headers that say where it came from and why it failed. It is kept for 90 days.
var DeadLetters = contract.Stream{Name: "DEADLETTERS", Subjects: []string{"deadletter.>"}}

// The headers of a dead letter.
const (
	HeaderSubject  = "Orderflow-Subject-Of-Event"
	HeaderStream   = "Orderflow-Stream"
	HeaderSequence = "Orderflow-Stream-Sequence"
	HeaderEventID  = "Orderflow-Event-Id"
	HeaderCode     = "Orderflow-Error-Code"
	HeaderError    = "Orderflow-Error"
)

var errUndecodable = errs.New(errs.Malformed, "event_undecodable", "The message is not a valid CloudEvent.")

// bury moves a message that cannot be handled to DeadLetters. If that fails, the message is tried again.
func (r *run) bury(ctx context.Context, msg jetstream.Msg, eventID string, cause error) {
	log := r.log.With("event", eventID, "subject", msg.Subject())
	meta, err := msg.Metadata()
	if err != nil {
		log.ErrorContext(ctx, "a message without metadata did not come from a stream", "error", err)
		return
	}
	letter := nats.NewMsg("deadletter." + r.Durable)
	letter.Data = msg.Data()
	letter.Header.Set(HeaderSubject, msg.Subject())
	letter.Header.Set(HeaderStream, meta.Stream)
	letter.Header.Set(HeaderSequence, fmt.Sprint(meta.Sequence.Stream))
	letter.Header.Set(HeaderEventID, eventID)
	letter.Header.Set(HeaderCode, errs.From(cause).Code)
	letter.Header.Set(HeaderError, fmt.Sprintf("%q", cause.Error())) // a header is one line

	// The id keeps a second burial, after a lost acknowledgement, from showing twice.
	id := fmt.Sprintf("%s/%s/%d", r.Durable, meta.Stream, meta.Sequence.Stream)
	answer, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if _, err := r.js.PublishMsg(answer, letter, jetstream.WithMsgID(id)); err != nil {
		delay := r.retry(ctx, msg)
		log.ErrorContext(ctx, "a message cannot be handled, nor be put away as a dead letter",
			"cause", cause, "error", err, "next_try_in", delay)
		return
	}
	r.Metrics.deadLetters.WithLabelValues(r.Durable).Inc()
	log.ErrorContext(ctx, "a message cannot be handled and is now a dead letter", "error", cause)
	if err := msg.TermWithReason(errs.From(cause).Code); err != nil {
		log.WarnContext(ctx, "a dead letter will be delivered again", "error", err)
	}
}

// Metrics counts what consumers do.
type Metrics struct {
	deadLetters *prometheus.CounterVec
	retries     *prometheus.CounterVec
	handling    *prometheus.HistogramVec
	waiting     *prometheus.GaugeVec
}

// NewMetrics registers the metrics, once for all consumers of a program.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	return &Metrics{
		deadLetters: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "eventbus_dead_letters_total",
			Help: "Messages that could not be handled and were put away as dead letters.",
		}, []string{"consumer"}),
		retries: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "eventbus_retries_total",
			Help: "Times that a message could not be handled and was to be delivered again.",
		}, []string{"consumer"}),
		handling: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "eventbus_handling_seconds",
			Help:    "How long the handling of an event took, whether it succeeded or not.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"consumer"}),
		waiting: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "eventbus_waiting_events",
			Help: "Events that the consumer has not acknowledged yet: not delivered, in hand, or to be tried again.",
		}, []string{"consumer"}),
	}
}
