package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/orderflow/orderflow/orchestrator/internal/saga"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/temporalclient"
)

// writeHistory writes the history of an order's saga as JSON with its payloads opened, as replay tests read it. It says
// nothing of the machines that wrote it.
func writeHistory(ctx context.Context, orderID, payloadKeys string, out io.Writer) error {
	keys, err := seal.ParseKeyring(payloadKeys)
	if err != nil {
		return fmt.Errorf("PAYLOAD_KEYS: %w", err)
	}
	c, err := temporalclient.Dial(slog.New(slog.DiscardHandler), keys, nil)
	if err != nil {
		return err
	}
	defer c.Close()

	var history historypb.History
	events := c.GetWorkflowHistory(ctx, saga.WorkflowID(orderID), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return err
		}
		history.Events = append(history.Events, event)
	}
	err = proxy.VisitPayloads(ctx, &history, proxy.VisitPayloadsOptions{
		Visitor: func(_ *proxy.VisitPayloadsContext, p []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return keys.Codec().Decode(p)
		},
	})
	if err != nil {
		return err
	}
	text, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(&history)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}
