package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
)

// runReplay replays sagas as Temporal recorded them against the code of this very program, and names those that it
// could not go on with. query narrows the sagas down as the list of workflows is in Temporal; "" is all of them.
func runReplay(ctx context.Context, query, payloadKeys string, out io.Writer) error {
	keys, err := seal.ParseKeyring(payloadKeys)
	if err != nil {
		return fmt.Errorf("PAYLOAD_KEYS: %w", err)
	}
	silent := slog.New(slog.DiscardHandler)
	c, err := temporalclient.Dial(silent, keys, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	namespace, err := temporalclient.Namespace()
	if err != nil {
		return err
	}
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		DataConverter: temporalclient.DataConverter(keys),
	})
	if err != nil {
		return err
	}
	saga.Settings{}.Register(replayer)

	list := &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = '" + saga.WorkflowType + "'"}
	if query != "" {
		list.Query += " AND (" + query + ")"
	}
	replayed, failed := 0, 0
	for {
		found, err := c.ListWorkflow(ctx, list)
		if err != nil {
			return err
		}
		for _, info := range found.GetExecutions() {
			run := workflow.Execution{ID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId()}
			err := replayer.ReplayWorkflowExecution(
				ctx, c.WorkflowService(), log.NewStructuredLogger(silent), namespace, run)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			replayed++
			if err != nil {
				failed++
				fmt.Fprintf(out, "%s: %v\n", run.ID, err)
			}
		}
		if list.NextPageToken = found.GetNextPageToken(); len(list.NextPageToken) == 0 {
			break
		}
	}
	fmt.Fprintf(out, "%d sagas replayed, %d failed\n", replayed, failed)
	if failed > 0 {
		return errors.New("this program cannot go on with every saga")
	}
	return nil
}
