package traces

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// span is one span of a trace.
type span struct {
	id, parent string
	name       string
	service    string
	start, end time.Time
	attributes map[string]any
	events     []event
	failed     bool
	reason     string // may be empty
	children   []*span
}

type event struct {
	name       string
	at         time.Time
	attributes map[string]any
}

func (s *span) text(attribute string) string {
	text, _ := s.attributes[attribute].(string)
	return text
}

// read returns the spans of every trace that mentions the order, by the trace's id, each in the order of their starts.
func read(dir, orderID string) (map[string][]*span, error) {
	found := map[string][]*span{}
	quoted := [][]byte{[]byte(`"` + orderID + `"`), []byte(`"` + workflowID(orderID) + `"`)}
	err := eachLine(dir, quoted, func(traceID string, s *span) {
		if s.mentions(orderID) {
			found[traceID] = nil
		}
	})
	if err != nil || len(found) == 0 {
		return found, err
	}
	wanted := make([][]byte, 0, len(found))
	for traceID := range found {
		wanted = append(wanted, []byte(traceID))
	}
	err = eachLine(dir, wanted, func(traceID string, s *span) {
		if _, ok := found[traceID]; ok {
			found[traceID] = append(found[traceID], s)
		}
	})
	for _, spans := range found {
		slices.SortStableFunc(spans, func(a, b *span) int { return a.start.Compare(b.start) })
	}
	return found, err
}

func (s *span) mentions(orderID string) bool {
	if s.text(subjectKey) == orderID || s.text(workflowIDKey) == workflowID(orderID) {
		return true
	}
	return slices.ContainsFunc(s.events, func(e event) bool { return e.attributes[subjectKey] == orderID })
}

// eachLine calls fn with every span of the lines that hold one of the words, oldest line first. To read only those
// keeps a search through hundreds of megabytes at about a second.
func eachLine(dir string, words [][]byte, fn func(traceID string, s *span)) error {
	files, err := filepath.Glob(filepath.Join(dir, "spans*.jsonl")) // The names sort by age.
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := eachLineOf(name, words, fn); err != nil && !errors.Is(err, os.ErrNotExist) { // It was old enough.
			return err
		}
	}
	return nil
}

func eachLineOf(name string, words [][]byte, fn func(traceID string, s *span)) error {
	file, err := os.Open(name) //nolint:gosec // A file of our own data directory.
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewReaderSize(file, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // A line without an end is being written.
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(words, func(word []byte) bool { return bytes.Contains(line, word) }) {
			continue
		}
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(line)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		eachSpan(traces, fn)
	}
}

func eachSpan(traces ptrace.Traces, fn func(traceID string, s *span)) {
	for _, resource := range traces.ResourceSpans().All() {
		service, _ := resource.Resource().Attributes().Get("service.name")
		for _, scope := range resource.ScopeSpans().All() {
			for _, s := range scope.Spans().All() {
				fn(s.TraceID().String(), newSpan(s, service))
			}
		}
	}
}

func newSpan(from ptrace.Span, service pcommon.Value) *span {
	s := &span{
		id: from.SpanID().String(), parent: from.ParentSpanID().String(), name: from.Name(), service: service.AsString(),
		start: from.StartTimestamp().AsTime(), end: from.EndTimestamp().AsTime(),
		attributes: from.Attributes().AsRaw(),
		failed:     from.Status().Code() == ptrace.StatusCodeError, reason: from.Status().Message(),
	}
	for _, e := range from.Events().All() {
		s.events = append(s.events, event{e.Name(), e.Timestamp().AsTime(), e.Attributes().AsRaw()})
	}
	return s
}
