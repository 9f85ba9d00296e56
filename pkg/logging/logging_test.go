package logging_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/logging"
)

func TestJSONRecordsNameTheService(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logging.New(&out, logging.Config{Level: slog.LevelInfo, Format: logging.JSON}, "orders")
	log.Debug("not shown")
	log.Info("placed", "order", "ord_1")

	var record map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &record))
	require.Equal(t, "orders", record["service"])
	require.Equal(t, "placed", record["msg"])
}

func TestOtherFormatsAreRefused(t *testing.T) {
	t.Parallel()
	var f logging.Format
	require.Error(t, f.UnmarshalText([]byte("xml")))
	require.NoError(t, f.UnmarshalText([]byte("text")))
	require.Equal(t, logging.Text, f)
}
