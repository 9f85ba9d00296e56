package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/tracing"
)

const (
	// batchSize is how many events are claimed, published and marked together.
	batchSize = 200

	// defaultPoll is how often the relay looks without having been woken. It finds what a process left that died
	// between its commit and its wake-up call.
	defaultPoll = 5 * time.Second

	// settle is when the relay looks again after it has found events: transactions at work at the same time as one that
	// notified did not notify themselves.
	settle = 50 * time.Millisecond

	// ackTimeout limits the wait for the stream's acknowledgements of a batch. It is well below the time after which
	// PostgreSQL ends an idle transaction.
	ackTimeout = 10 * time.Second

	// batchTimeout limits a whole batch, also when Run is to end.
	batchTimeout = 20 * time.Second

	// After a failure the relay waits, longer with each one. The last value bounds how late events are after an outage.
	firstWait, lastWait = 100 * time.Millisecond, 2 * time.Second

	// logEvery keeps an outage from filling the log: about one line in half a minute.
	logEvery = 15

	// observeEvery is how often the backlog is measured.
	observeEvery = 5 * time.Second

	// A published event is kept for support to look at, then removed.
	keepPublished = 7 * 24 * time.Hour
	sweepEvery    = time.Hour
)

// errNotConnected saves the claim of a batch that could not be published.
var errNotConnected = errors.New("NATS is not connected")

// Relay publishes what Append has written. Several relays, in one process or many, share the work.
type Relay struct {
	pool    *pgxpool.Pool
	js      jetstream.JetStream
	log     *slog.Logger
	poll    time.Duration
	wake    chan struct{}
	metrics metrics
}

// Option changes a Relay.
type Option func(*Relay)

// PollEvery sets how often the relay looks for events without having been woken; 5 s if not set.
func PollEvery(d time.Duration) Option {
	return func(r *Relay) { r.poll = d }
}

// NewRelay returns a relay from the pool's database to js. Its metrics go to the registry, which may be nil.
func NewRelay(
	pool *pgxpool.Pool, js jetstream.JetStream, log *slog.Logger, registry prometheus.Registerer, options ...Option,
) *Relay {
	r := &Relay{
		pool: pool, js: js, log: log, poll: defaultPoll,
		wake: make(chan struct{}, 1), metrics: newMetrics(registry),
	}
	for _, option := range options {
		option(r)
	}
	return r
}

// Wake makes the relay look for events at once. Call it after a commit; it never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway, and see this commit too
	}
}

// Run publishes until ctx ends, finishes the batch in hand and returns nil. While NATS or the database is away it keeps
// trying; nothing is lost.
func (r *Relay) Run(ctx context.Context) error {
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { r.listen(ctx) })
	background.Go(func() { r.every(ctx, observeEvery, "measure the outbox", r.observe) })
	background.Go(func() { r.every(ctx, sweepEvery, "sweep the outbox", r.sweep) })

	for failures := 0; ; {
		// A batch that has begun is finished: the end of ctx is no reason to publish it twice.
		claimed, err := r.batch(ctx)
		var timer *time.Timer
		wake := r.wake
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures++
			delay := backOff(failures)
			if failures%logEvery == 1 {
				r.log.WarnContext(ctx, "events wait in the outbox", "error", err, "failures", failures)
			}
			timer, wake = time.NewTimer(delay), nil // being woken does not mend anything
		case claimed == batchSize:
			failures = 0
			continue // there may be more
		case claimed > 0:
			failures = 0
			timer = time.NewTimer(min(settle, r.poll))
		default:
			failures = 0
			timer = time.NewTimer(r.poll)
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// record is one row of the outbox.
type record struct {
	seq     int64
	id      string
	subject string
	headers []byte
	payload []byte
}

// batch publishes up to batchSize events and returns how many it claimed. It returns an error if not all of them could
// be published and marked.
//
// The claim is held, as row locks, until the events are marked. If the relay dies before, the locks vanish and the next
// one publishes the events again, under the same message ids.
func (r *Relay) batch(ctx context.Context) (claimed int, err error) {
	if !r.js.Conn().IsConnected() {
		return 0, errNotConnected
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()

	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return 0, postgres.Interpret(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()

	records, err := claim(ctx, tx)
	if err != nil {
		return 0, postgres.Interpret(err)
	}
	if len(records) == 0 {
		return 0, nil
	}
	published, publishErr := r.publish(ctx, records)
	if len(published) > 0 {
		if err := mark(ctx, tx, published); err != nil {
			return len(records), postgres.Interpret(err)
		}
		r.metrics.published.Add(float64(len(published)))
	}
	return len(records), publishErr
}

func claim(ctx context.Context, tx pgx.Tx) ([]record, error) {
	rows, err := tx.Query(ctx, `
		select seq, event_id, subject, headers, payload from outbox
		where published_at is null order by seq limit $1 for update skip locked`, batchSize)
	if err != nil {
		return nil, fmt.Errorf("claim events: %w", err)
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (rec record, err error) {
		err = row.Scan(&rec.seq, &rec.id, &rec.subject, &rec.headers, &rec.payload)
		return rec, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim events: %w", err)
	}
	return records, nil
}

// publish sends the events in order, without waiting for each one, and returns the seq of those that the stream has
// taken, and the first failure of the others.
func (r *Relay) publish(ctx context.Context, records []record) (published []int64, failure error) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()

	failed := func(rec record, err error) {
		if failure == nil {
			failure = fmt.Errorf("publish event %s on %s: %w", rec.id, rec.subject, err)
		}
	}
	acks, spans := make([]jetstream.PubAckFuture, len(records)), make([]trace.Span, len(records))
	for i, rec := range records {
		msg, err := rec.message()
		if err == nil {
			spans[i] = sending(ctx, msg)
			acks[i], err = r.js.PublishMsgAsync(msg)
		}
		if err != nil {
			failed(rec, err) // which must not keep the others
		}
	}
	defer func() {
		for _, span := range spans {
			if span != nil {
				span.End()
			}
		}
	}()
	published = make([]int64, 0, len(records))
	for i, rec := range records {
		if acks[i] == nil {
			continue
		}
		select {
		case <-acks[i].Ok():
			spans[i].End()
			published = append(published, rec.seq)
		case err := <-acks[i].Err():
			failed(rec, err)
		case <-ctx.Done():
			failed(rec, ctx.Err())
		}
	}
	return published, failure
}

func (rec record) message() (*nats.Msg, error) {
	msg := &nats.Msg{Subject: rec.subject, Data: rec.payload, Header: nats.Header{}}
	if string(rec.headers) != "{}" {
		var headers map[string]string
		if err := json.Unmarshal(rec.headers, &headers); err != nil {
			return nil, fmt.Errorf("decode headers: %w", err)
		}
		for name, value := range headers {
			msg.Header.Set(name, value)
		}
	}
	msg.Header.Set(jetstream.MsgIDHeader, rec.id)
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	return msg, nil
}

// sending begins the span of a message's way to the stream, if the message belongs to a trace, and makes it the parent
// of what its consumers do.
func sending(ctx context.Context, msg *nats.Msg) trace.Span {
	ctx = tracing.Extract(ctx, tracing.MessageCarrier(msg.Header))
	ctx, span := tracing.Begin(ctx, "send "+msg.Subject,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			semconv.MessagingSystemKey.String("nats"), semconv.MessagingDestinationName(msg.Subject),
			semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
			semconv.MessagingMessageID(msg.Header.Get(jetstream.MsgIDHeader))))
	for name, value := range tracing.Inject(ctx) {
		msg.Header.Set(name, value)
	}
	return span
}

// mark records that the events are published, and commits.
func mark(ctx context.Context, tx pgx.Tx, published []int64) error {
	_, err := tx.Exec(ctx, "update outbox set published_at = clock_timestamp() where seq = any($1)", published)
	if err != nil {
		return fmt.Errorf("mark events as published: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("mark events as published: %w", err)
	}
	return nil
}

// backOff returns the wait after so many failures in a row, spread by ±25 %, so that relays do not move in step.
func backOff(failures int) time.Duration {
	delay := lastWait
	if shift := failures - 1; shift < 10 {
		delay = min(firstWait<<shift, lastWait)
	}
	return delay*3/4 + rand.N(delay/2) //nolint:gosec // not a secret
}
