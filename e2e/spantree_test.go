// Only the local stack writes its spans to a file.
//go:build !compose

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The fields of OTLP/JSON that the tests look at.
type (
	export struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes attributes }
			ScopeSpans []struct{ Spans []*span }
		}
	}
	span struct {
		TraceID, SpanID, ParentSpanID string
		Name                          string
		Attributes                    attributes
		Events                        []struct {
			Name       string
			Attributes attributes
		}
		service string
	}
	attributes []struct {
		Key   string
		Value map[string]any
	}
)

func (a attributes) get(key string) string {
	for _, kv := range a {
		if kv.Key == key {
			for _, value := range kv.Value {
				return fmt.Sprint(value)
			}
		}
	}
	return ""
}

func (s *span) attribute(key string) string { return s.Attributes.get(key) }

func (s *span) is(prefix string) bool { return s != nil && strings.HasPrefix(s.Name, prefix) }

// spanTree is one trace.
type spanTree struct {
	client clientSpan
	spans  []*span
	byID   map[string]*span
	twice  []string
}

// readTrace returns the trace that a client's span began, as far as it is told.
func readTrace(t *testing.T, client clientSpan) *spanTree {
	t.Helper()
	tr := &spanTree{client: client, byID: map[string]*span{}}
	for line := range strings.Lines(spansFile(t)) {
		if !strings.HasSuffix(line, "\n") || !strings.Contains(line, client.traceID) {
			continue
		}
		var e export
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		for _, resource := range e.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					if s.TraceID == client.traceID {
						s.service = resource.Resource.Attributes.get("service.name")
						tr.add(s)
					}
				}
			}
		}
	}
	return tr
}

func (tr *spanTree) add(s *span) {
	if tr.byID[s.SpanID] != nil {
		tr.twice = append(tr.twice, s.Name)
	}
	tr.byID[s.SpanID] = s
	tr.spans = append(tr.spans, s)
}

func (tr *spanTree) named(name string) (found []*span) {
	for _, s := range tr.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// String prints a line for each span.
func (tr *spanTree) String() string {
	lines := make([]string, len(tr.spans))
	for i, s := range tr.spans {
		lines[i] = s.ParentSpanID + " → " + s.SpanID + " " + s.service + ": " + s.Name
	}
	return strings.Join(lines, "\n")
}

// problems says what is wrong with the trace of any request: there is one root, each span is there once, its parent is
// there and is one that it can have, and each event that a service has told of was sent and, if it is for the
// timeline, arrived there.
func (tr *spanTree) problems(root string) (found []string) {
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, name := range tr.twice {
		problem("%s is there twice", name)
	}
	roots := 0
	sent, arrived := map[string]bool{}, map[string]bool{}
	for _, s := range tr.spans {
		if id := s.attribute("messaging.message.id"); s.is("send ") {
			sent[id] = true
		} else if s.is("process ") {
			arrived[id] = true
		}
		parent := tr.byID[s.ParentSpanID]
		switch {
		case s.ParentSpanID == tr.client.spanID:
			roots++
			if s.Name != root || s.service != "orders" {
				problem("the root is %s of %s", s.Name, s.service)
			}
		case parent == nil:
			problem("%s of %s is an orphan", s.Name, s.service)
		case !s.fits(parent):
			problem("%s of %s is a child of %s of %s", s.Name, s.service, parent.Name, parent.service)
		}
		for _, key := range s.conventions() {
			if s.attribute(key) == "" {
				problem("%s of %s has no %s", s.Name, s.service, key)
			}
		}
	}
	if roots != 1 {
		problem("there are %d roots", roots)
	}
	for _, s := range tr.spans {
		for _, ev := range s.Events {
			id, kind := ev.Attributes.get("cloudevents.event_id"), ev.Attributes.get("cloudevents.event_type")
			if id != "" && !sent[id] {
				problem("%s of %s was not sent", kind, s.Name)
			}
			if id != "" && !arrived[id] && (s.service != "orders" || slices.Contains(forStarter, kind)) {
				problem("%s of %s did not arrive", kind, s.Name)
			}
		}
	}
	return found
}

var forStarter = []string{"orders.order.placed.v1", "orders.order.cancel_requested.v1"}

// fits reports whether the span can be a child of the other.
func (s *span) fits(parent *span) bool {
	home := s.service == parent.service
	work := parent.is("POST ") || parent.is("RunActivity:") || parent.is("process ")
	switch {
	case s.attribute("db.system.name") != "":
		return home && (work || parent.attribute("db.system.name") != "" || parent.is("payment provider ") ||
			parent.is("carrier "))
	case s.is("send "):
		return home && work
	case s.is("process "):
		return parent.is("send ") && s.attribute("messaging.message.id") == parent.attribute("messaging.message.id")
	case s.is("StartWorkflow:"), s.is("SignalWorkflow:"):
		return home && parent.is("process orders.order.")
	case s.is("RunWorkflow:"):
		return home && parent.is("StartWorkflow:")
	case s.is("RunActivity:"):
		return parent.is("RunWorkflow:") && strings.HasPrefix(s.Name, "RunActivity:"+s.service+"/")
	case s.is("payment provider "):
		return s.service == "payments" && home && parent.is("RunActivity:")
	case s.is("carrier "):
		return s.service == "shipping" && home && parent.is("RunActivity:")
	default:
		return false
	}
}

// conventions returns the attributes that OpenTelemetry wants on such a span.
func (s *span) conventions() []string {
	switch {
	case s.is("POST "):
		return []string{"http.request.method", "http.route", "http.response.status_code", "url.path", "url.scheme"}
	case s.is("send "), s.is("process "):
		return []string{
			"messaging.system", "messaging.destination.name", "messaging.operation.type", "messaging.operation.name",
			"messaging.message.id",
		}
	case s.attribute("db.system.name") != "":
		return []string{"db.namespace", "server.address"}
	default:
		return nil
	}
}
