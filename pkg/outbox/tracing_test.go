package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/tracing/tracingtest"
)

func TestAnEventIsHandledInTheTraceOfTheTransactionThatToldOfIt(t *testing.T) { //nolint:paralleltest // It sets variables.
	c := tracingtest.Start(t)
	b := setup(t)
	ctx, root := otel.Tracer("test").Start(t.Context(), "root")
	told := event(t, 1)
	require.NoError(t, postgres.InTx(ctx, b.pool, func(tx pgx.Tx) error { return outbox.Append(ctx, tx, told) }))
	root.End()
	b.commit(1) // of which nobody asked for a trace
	b.run().stop()
	b.requireExactlyOnce(2)

	consuming, stop := context.WithCancel(t.Context())
	handled := 0
	require.NoError(t, eventbus.Consume(consuming, b.js, slog.New(slog.DiscardHandler), eventbus.Consumer{
		Stream: stream.Name, Durable: "shelf", Parallel: 1, Handle: func(context.Context, cloudevents.Event) error {
			if handled++; handled == 2 {
				stop()
			}
			return errs.New(errs.Invalid, "thing_refused", "No.").WithCause(errors.New("Ada Lovelace"))
		},
	}))

	spans := map[string]*tracepb.Span{}
	for _, s := range c.Spans(t) {
		require.Equal(t, [16]byte(root.SpanContext().TraceID()), [16]byte(s.GetTraceId()), s.GetName())
		require.NotContains(t, s.String(), "Ada")
		if strings.HasSuffix(s.GetName(), sold.Type) || s.GetName() == "root" {
			require.NotContains(t, spans, s.GetName())
			spans[s.GetName()] = s
		}
	}
	sent, processed := spans["send "+sold.Type], spans["process "+sold.Type]
	require.Equal(t, spans["root"].GetSpanId(), sent.GetParentSpanId())
	require.Equal(t, sent.GetSpanId(), processed.GetParentSpanId())
	require.Equal(t, "thing_refused", processed.GetStatus().GetMessage())
	require.Equal(t, "event appended", spans["root"].GetEvents()[0].GetName())
}
