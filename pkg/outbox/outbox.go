// Package outbox publishes events if, and only if, the transaction that they tell of was committed: Append writes them
// into a table in that transaction, and the Relay brings them from there to NATS JetStream, at least once. The event's
// id is the message's id, so that the stream drops what a crash made the relay send again. It must not know what an
// event means.
//
// Events of one transaction, and of transactions that waited for each other, are published in order, as long as one
// relay runs. With several relays, or after a failure, the order may change; consumers must not rely on it.
package outbox

import (
	"context"
	"embed"
	"fmt"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/tracing"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Schema creates the table of events.
var Schema = postgres.Migrations{Name: "outbox", FS: migrations}

// maxPayload is how large an encoded event may be, in bytes. It leaves room below the 1 MiB that NATS takes by default.
const maxPayload = 512 << 10

// Append adds events, in this order, to the transaction. The event's type becomes the NATS subject. Call Relay.Wake
// after the commit.
//
// An event that could never be published (not a valid CloudEvent, a type that is no subject, more than 512 KiB) is an
// error, because nobody could put it right later.
func Append(ctx context.Context, tx pgx.Tx, events ...cloudevents.Event) error {
	return insert(ctx, tx, appendRows, events)
}

// Republish adds events that were appended before, under the ids that they had, so that they are published again: the
// stream may have lost them since. One that still waits to be published is left where it is: it waits once, however
// often it is republished. A stream drops what it took under the same id within its dedupe window. Errors are those of
// Append. Call Relay.Wake after the commit.
func Republish(ctx context.Context, tx pgx.Tx, events ...cloudevents.Event) error {
	ids := make([]string, len(events))
	for i, event := range events {
		ids[i] = event.ID()
	}
	// The old row goes, because it is in the past: the new one is measured and swept like any other.
	_, err := tx.Exec(ctx, "delete from outbox where event_id = any($1) and published_at is not null", ids)
	if err != nil {
		return fmt.Errorf("outbox: republish: %w", err)
	}
	return insert(ctx, tx, appendRows+" on conflict (event_id) do nothing", events)
}

const appendRows = `
	insert into outbox (event_id, subject, payload, headers)
	select id, subject, payload, $4 from unnest($1::text[], $2::text[], $3::bytea[])
		with ordinality as event(id, subject, payload, n)
	order by n`

func insert(ctx context.Context, tx pgx.Tx, statement string, events []cloudevents.Event) error {
	if len(events) == 0 {
		return nil
	}
	ids, subjects, payloads := make([]string, len(events)), make([]string, len(events)), make([][]byte, len(events))
	for i, event := range events {
		payload, err := encode(event)
		if err != nil {
			return fmt.Errorf("outbox: event %s of type %s: %w", event.ID(), event.Type(), err)
		}
		ids[i], subjects[i], payloads[i] = event.ID(), event.Type(), payload
		// It tells which order a trace is about, and from when on the event waits.
		trace.SpanFromContext(ctx).AddEvent("event appended", trace.WithAttributes(semconv.CloudEventsEventID(event.ID()),
			semconv.CloudEventsEventType(event.Type()), semconv.CloudEventsEventSubject(event.Subject())))
	}
	if _, err := tx.Exec(ctx, statement, ids, subjects, payloads, headers(ctx)); err != nil {
		return fmt.Errorf("outbox: append: %w", err)
	}
	return nil
}

// headers carries the trace of the transaction to whoever handles its events.
func headers(ctx context.Context) map[string]string {
	if found := tracing.Inject(ctx); found != nil {
		return found
	}
	return map[string]string{}
}

func encode(event cloudevents.Event) ([]byte, error) {
	if err := event.Validate(); err != nil {
		return nil, err
	}
	if !isSubject(event.Type()) {
		return nil, fmt.Errorf("the type is not a NATS subject")
	}
	payload, err := event.MarshalJSON()
	if err != nil {
		return nil, err
	}
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("%d bytes are more than %d", len(payload), maxPayload)
	}
	return payload, nil
}

// isSubject reports whether s is a subject that one can publish to: tokens between dots, without wildcards and spaces.
func isSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return false
		}
	}
	return true
}
