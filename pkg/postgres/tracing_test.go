package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/tracing/tracingtest"
)

// TestASpanHoldsNoValues fails a statement whose message quotes what it was given.
func TestASpanHoldsNoValues(t *testing.T) { //nolint:paralleltest // It sets variables.
	c := tracingtest.Start(t)
	pool := accounts(t) // made after tracing was started, as in every program
	pool, err := postgres.Open(t.Context(), pool.Config().ConnString())
	require.NoError(t, err)
	defer pool.Close()
	ctx, root := otel.Tracer("test").Start(t.Context(), "root")
	_, err = pool.Exec(ctx, "select $1::text::int", "Ada Lovelace")
	require.ErrorContains(t, err, "Ada Lovelace")
	root.End()

	failed := false
	for _, s := range c.Spans(t) {
		require.NotContains(t, s.String(), "Lovelace")
		if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			failed = true
			require.Contains(t, s.String(), "22P02")
		}
	}
	require.True(t, failed)
}

func TestAStatementThatBelongsToNoTraceMakesNone(t *testing.T) { //nolint:paralleltest // It sets variables.
	c := tracingtest.Start(t)
	pool, err := postgres.Open(t.Context(), accounts(t).Config().ConnString())
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, pool.Ping(t.Context()))
	_, err = pool.Exec(t.Context(), "select 1")
	require.NoError(t, err)
	require.Empty(t, c.Spans(t))
}
