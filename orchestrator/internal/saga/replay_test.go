package saga_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
)

// TestRecordedSagasReplay checks that sagas which began under earlier code can go on under this one. A change that
// breaks it needs workflow.GetVersion, not a new recording.
func TestRecordedSagasReplay(t *testing.T) {
	t.Parallel()
	histories, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, histories, "no history is recorded in testdata/histories, so nothing guards running sagas")
	for _, path := range histories {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			set := saga.Settings{CompensationAttempts: undoAttempts}
			set.Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, path))
		})
	}
}
