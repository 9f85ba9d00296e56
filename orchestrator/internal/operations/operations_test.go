package operations

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/page"
)

func TestEveryStateCanBeListed(t *testing.T) {
	t.Parallel()
	states := []saga.State{
		saga.Running, saga.Compensating, saga.NeedsAttention, saga.Confirmed, saga.Cancelled, saga.Failed, Broken,
	}
	require.Len(t, queries, len(states))
	for _, state := range states {
		require.Contains(t, queries, state)
	}
}

func TestTheStateIsThatOfTheSagaUnlessItWasClosedByForce(t *testing.T) {
	t.Parallel()
	const unset = ""
	running, completed := enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	for _, tc := range []struct {
		status    enumspb.WorkflowExecutionStatus
		attribute saga.State
		expected  saga.State
	}{
		{running, unset, saga.Running},
		{running, saga.Running, saga.Running},
		{running, saga.Compensating, saga.Compensating},
		{running, saga.NeedsAttention, saga.NeedsAttention},
		{completed, unset, saga.Confirmed},
		{completed, saga.Confirmed, saga.Confirmed},
		{completed, saga.Failed, saga.Failed},
		{completed, saga.Cancelled, saga.Cancelled},
		{enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, saga.NeedsAttention, Broken},
		{enumspb.WORKFLOW_EXECUTION_STATUS_FAILED, unset, Broken},
		{enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED, unset, Broken},
		{enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, saga.Compensating, Broken},
	} {
		var attributes *commonpb.SearchAttributes
		if tc.attribute != unset {
			payload, err := converter.GetDefaultDataConverter().ToPayload(string(tc.attribute))
			require.NoError(t, err)
			attributes = &commonpb.SearchAttributes{
				IndexedFields: map[string]*commonpb.Payload{saga.SearchAttribute.GetName(): payload},
			}
		}
		require.Equal(t, tc.expected, stateOf(tc.status, attributes), "%s %s", tc.status, tc.attribute)
	}
}

func TestACursorIsOfItsListAlone(t *testing.T) {
	t.Parallel()
	token := []byte(`{"CloseTime":"2026-01-31T12:00:00Z"}`)
	cursor := newCursor(token, saga.Failed)
	back, err := openCursor(cursor, saga.Failed)
	require.NoError(t, err)
	require.Equal(t, token, back)

	require.Empty(t, newCursor(nil, saga.Failed), "the last page has none")
	back, err = openCursor("", saga.Failed)
	require.NoError(t, err)
	require.Empty(t, back)

	for name, tc := range map[string]struct {
		cursor   string
		expected error
	}{
		"of another state":     {newCursor(token, saga.Confirmed), page.ErrFilter},
		"of all states":        {newCursor(token, ""), page.ErrFilter},
		"garbage":              {"garbage", page.ErrMalformed},
		"cut":                  {cursor[:len(cursor)/2], page.ErrMalformed},
		"with a bad token":     {page.Encode(page.Position{Time: time.Now(), ID: "%"}, string(saga.Failed)), page.ErrMalformed},
		"too long":             {strings.Repeat("A", 10_000), page.ErrMalformed},
		"Temporal's own token": {string(token), page.ErrMalformed},
	} {
		_, err := openCursor(tc.cursor, saga.Failed)
		require.ErrorIs(t, err, tc.expected, name)
	}
}
