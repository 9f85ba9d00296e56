package eventbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/tracing"
)

const (
	defaultParallel = 16

	// defaultAckWait is when the server gives a message to another process, because this one no longer says that it
	// works on it.
	defaultAckWait = 30 * time.Second

	// maxAckPending limits the messages in hand and waiting for another try together. It is high, so that many that
	// fail leave room for those that do not.
	maxAckPending = 10_000

	// drainTimeout is how long a handler may go on after the end of Consume's context: less than a program's own time to
	// drain (15 s unless set), so that it ends by this and not by force.
	drainTimeout = 10 * time.Second

	// answerTimeout limits the wait for the server's word on an acknowledgement or a dead letter.
	answerTimeout = 5 * time.Second

	// observeEvery is how often the consumer's backlog is measured.
	observeEvery = 5 * time.Second

	// logEvery keeps an outage from filling the log: about one line in half a minute.
	logEvery = 15

	firstRetry, lastRetry         = 100 * time.Millisecond, 30 * time.Second
	firstReconnect, lastReconnect = 100 * time.Millisecond, 2 * time.Second
)

// Consumer says which events to consume, and how.
type Consumer struct {
	// Stream is the name of the stream, which another service owns and which need not exist yet.
	Stream string
	// Durable names the consumer: processes with the same name share the work, and it goes on where they stopped.
	Durable string
	// Subjects limits the events to these types; wildcards are allowed. Empty means all of the stream.
	Subjects []string
	// Handle handles one event. It is called again for the same event when it fails, and now and then when it did not,
	// so it must be idempotent; see Once. Events come in no particular order.
	//
	// The kind of its error (pkg/errs) decides: a retryable one is tried again, later and later, for ever; any other
	// makes the event a dead letter. ctx ends 10 s after Consume's.
	Handle func(ctx context.Context, event cloudevents.Event) error
	// Parallel is how many events are handled at a time; 16 if zero.
	Parallel int
	// Metrics counts what happens; may be nil.
	Metrics *Metrics

	ackWait time.Duration // for tests
}

// Consume handles the consumer's events until ctx ends; then it takes no more, waits for the handlers that run, and
// returns nil. It waits for a stream that does not exist and for a server that is away, and goes on when they are back.
// It returns an error only for a consumer that is not complete, or when the connection was closed by this program.
func Consume(ctx context.Context, js jetstream.JetStream, log *slog.Logger, c Consumer) error {
	if c.Stream == "" || c.Durable == "" || c.Handle == nil {
		return errors.New("eventbus: a consumer needs a stream, a durable name and a handler")
	}
	if c.Parallel <= 0 {
		c.Parallel = defaultParallel
	}
	if c.ackWait == 0 {
		c.ackWait = defaultAckWait
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(nil)
	}
	r := &run{
		Consumer: c, js: js, log: log.With("consumer", c.Durable, "stream", c.Stream),
		inHand: map[jetstream.Msg]struct{}{},
	}

	handlers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })
	defer stop()

	var beating sync.WaitGroup
	beat, stopBeating := context.WithCancel(context.WithoutCancel(ctx))
	beating.Go(func() { r.keepInHand(beat) })
	defer beating.Wait()
	defer stopBeating()

	for failures := 0; ; {
		started := time.Now()
		err := r.consume(ctx, handlers)
		if ctx.Err() != nil {
			return nil
		}
		if js.Conn().IsClosed() {
			return fmt.Errorf("eventbus: consumer %s: %w", c.Durable, err)
		}
		if time.Since(started) > lastReconnect {
			failures = 0
		}
		failures++
		delay := backOff(failures, firstReconnect, lastReconnect)
		if failures%logEvery == 1 {
			r.log.WarnContext(ctx, "no events can be consumed now", "error", err, "failures", failures)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
	}
}

// run is a Consumer at work.
type run struct {
	Consumer
	js  jetstream.JetStream
	log *slog.Logger

	mu     sync.Mutex
	inHand map[jetstream.Msg]struct{}
}

// consume handles messages until ctx ends or the subscription breaks, and waits for its handlers.
func (r *run) consume(ctx, handlers context.Context) error {
	if err := ensureStream(ctx, r.js, DeadLetters, deadLetterRetention); err != nil {
		return err
	}
	consumer, err := r.js.CreateOrUpdateConsumer(ctx, r.Stream, jetstream.ConsumerConfig{
		Durable:        r.Durable,
		FilterSubjects: r.Subjects,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        r.ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  maxAckPending,
	})
	if err != nil {
		return err
	}
	// As many wait here as are being handled, so that a handler is never idle; more would only be out of reach for
	// other processes.
	messages, err := consumer.Messages(jetstream.PullMaxMessages(r.Parallel), jetstream.PullHeartbeat(5*time.Second))
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer giveBack(messages)
	observing, stopObserving := context.WithCancel(ctx)
	defer stopObserving()
	working.Go(func() { r.observe(observing, consumer) })

	slots := make(chan struct{}, r.Parallel)
	for {
		select {
		case <-ctx.Done():
			return nil
		case slots <- struct{}{}:
		}
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		working.Go(func() {
			defer func() { <-slots }()
			r.take(msg)
			defer r.letGo(msg)
			r.process(handlers, msg)
		})
	}
}

// observe measures, as long as ctx lasts, how far the consumer is behind.
func (r *run) observe(ctx context.Context, consumer jetstream.Consumer) {
	ticker := time.NewTicker(observeEvery)
	defer ticker.Stop()
	for {
		if info, err := consumer.Info(ctx); err == nil {
			r.Metrics.waiting.WithLabelValues(r.Durable).Set(float64(info.NumPending) + float64(info.NumAckPending))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// giveBack ends the subscription and returns the messages that are waiting in it, so that another process gets them at
// once and not after AckWait.
func giveBack(messages jetstream.MessagesContext) {
	messages.Drain()
	for {
		msg, err := messages.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			messages.Stop()
			return
		}
		_ = msg.Nak() // else AckWait does it
	}
}

func (r *run) process(ctx context.Context, msg jetstream.Msg) {
	var event cloudevents.Event
	err := event.UnmarshalJSON(msg.Data())
	if err == nil {
		err = event.Validate()
	}
	if err != nil {
		r.bury(ctx, msg, "", errUndecodable.WithCause(err))
		return
	}
	ctx, span := r.processing(ctx, msg, event)
	defer span.End()
	begun := time.Now()
	err = r.handle(ctx, event)
	tracing.Observe(ctx, r.Metrics.handling.WithLabelValues(r.Durable), time.Since(begun).Seconds())
	if err != nil {
		span.SetStatus(codes.Error, errs.From(err).Code) // Its causes may quote what they failed on.
	}
	switch {
	case err == nil:
		// Waits for the server's word: an acknowledgement that is lost means to do the work again.
		answer, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		if err := msg.DoubleAck(answer); err != nil {
			r.log.WarnContext(ctx, "an event will be handled again: its acknowledgement was not confirmed",
				"event", event.ID(), "error", err)
		}
	case errs.From(err).Kind.Retryable():
		delay := r.retry(ctx, msg)
		r.log.WarnContext(ctx, "an event could not be handled and will be tried again",
			"event", event.ID(), "type", event.Type(), "error", err, "next_try_in", delay)
	default:
		r.bury(ctx, msg, event.ID(), err)
	}
}

// processing begins the span of an event's handling, in the trace of whoever caused the event.
func (r *run) processing(
	ctx context.Context, msg jetstream.Msg, event cloudevents.Event,
) (context.Context, trace.Span) {
	ctx = tracing.Extract(ctx, tracing.MessageCarrier(msg.Headers()))
	return tracing.Begin(ctx, "process "+event.Type(),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingDestinationName(event.Type()),
			semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
			semconv.MessagingConsumerGroupName(r.Durable), semconv.MessagingMessageID(event.ID()),
			semconv.CloudEventsEventSubject(event.Subject())))
}

// handle turns a panic into an error, so that one event cannot end the process over and over.
func (r *run) handle(ctx context.Context, event cloudevents.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return r.Handle(ctx, event)
}

// retry asks for the message to be delivered again, and returns the delay.
func (r *run) retry(ctx context.Context, msg jetstream.Msg) time.Duration {
	r.Metrics.retries.WithLabelValues(r.Durable).Inc()
	tries := 1
	if meta, err := msg.Metadata(); err == nil {
		tries = int(min(meta.NumDelivered, 100))
	}
	delay := backOff(tries, firstRetry, lastRetry)
	if err := msg.NakWithDelay(delay); err != nil {
		r.log.WarnContext(ctx, "cannot ask for another delivery; it comes by itself", "error", err, "after", r.ackWait)
		return r.ackWait
	}
	return delay
}

func (r *run) take(msg jetstream.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand[msg] = struct{}{}
}

func (r *run) letGo(msg jetstream.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.inHand, msg)
}

// keepInHand tells the server, three times within AckWait, that the messages in hand are being worked on.
func (r *run) keepInHand(ctx context.Context) {
	ticker := time.NewTicker(r.ackWait / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		for msg := range r.inHand {
			_ = msg.InProgress() // a lost one is followed by two more
		}
		r.mu.Unlock()
	}
}

// backOff returns the wait after so many failures in a row: doubled with each one, and spread by ±25 %, so that those
// that failed together do not return together.
func backOff(failures int, first, last time.Duration) time.Duration {
	delay := last
	if shift := failures - 1; shift < 16 {
		delay = min(first<<shift, last)
	}
	return delay*3/4 + rand.N(delay/2) //nolint:gosec // not a secret
}
