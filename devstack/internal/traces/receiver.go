// Package traces keeps the spans of the running stack in a file, and tells from it where an order's time went. Of the
// services it knows only what OpenTelemetry's conventions and Temporal's SDK call things.
package traces

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // exporters may be told to use it
	"gopkg.in/natefinch/lumberjack.v2"
)

// fileName of the newest spans; the older ones have the time of their end in their names. Together they are at most
// 512 MB, which is the spans of about 5,000 orders.
const (
	fileName   = "spans.jsonl"
	fileSizeMB = 64
	olderFiles = 7
)

// Receiver takes spans by OTLP over gRPC and appends each export to a file as a line of OTLP/JSON.
type Receiver struct {
	ptraceotlp.UnimplementedGRPCServer
	server *grpc.Server
	file   *lumberjack.Logger
	json   ptrace.JSONMarshaler
}

// Listen returns a receiver that listens on the address and writes into the directory, which it makes. The caller
// closes it.
func Listen(ctx context.Context, address, dir string) (*Receiver, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("receive traces: %w", err)
	}
	r := &Receiver{
		server: grpc.NewServer(),
		file:   &lumberjack.Logger{Filename: filepath.Join(dir, fileName), MaxSize: fileSizeMB, MaxBackups: olderFiles},
	}
	ptraceotlp.RegisterGRPCServer(r.server, r)
	go func() { _ = r.server.Serve(listener) }() // It ends when Close says so.
	return r, nil
}

// Export implements ptraceotlp.GRPCServer.
func (r *Receiver) Export(_ context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	line, err := r.json.MarshalTraces(req.Traces())
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	return ptraceotlp.NewExportResponse(), err
}

// Close takes what is on its way and ends.
func (r *Receiver) Close() error {
	r.server.GracefulStop()
	return r.file.Close()
}
