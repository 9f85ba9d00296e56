package traces

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// What OpenTelemetry and Temporal's SDK call what is looked for.
const (
	subjectKey    = "cloudevents.event_subject"
	workflowIDKey = "temporalWorkflowID"
	activityIDKey = "temporalActivityID"
	attemptKey    = "temporalActivityAttempt"

	runWorkflow = "RunWorkflow:"
	runActivity = "RunActivity:"
)

func workflowID(orderID string) string { return "order/" + orderID }

// ErrNone says that no span in the directory is about the order.
var ErrNone = errors.New("no trace")

// Print prints where the time of an order went, step by step, and then all spans of its trace and of the other requests
// about it, such as one to cancel it. It returns ErrNone if there are none.
func Print(out io.Writer, dir, orderID string) error {
	found, err := read(dir, orderID)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return ErrNone
	}
	all := make([]*trace, 0, len(found))
	for id, spans := range found {
		all = append(all, newTrace(id, spans, orderID))
	}
	slices.SortFunc(all, func(a, b *trace) int { return a.spans[0].start.Compare(b.spans[0].start) })
	order := all[0] // It was placed before anything else was asked about it.
	order.printSteps(out, orderID)
	for _, t := range all {
		if t != order {
			fmt.Fprintf(out, "\nlater, by another request (trace %s)\n", t.id)
		}
		t.printTree(out, order.begin())
	}
	return nil
}

// trace is the spans of one trace as a tree.
type trace struct {
	id    string
	spans []*span // in the order of their starts
	roots []*span // those whose parents are the client's, or not recorded

	// The way of an order from its request to its workflow; nil where a span is missing.
	request, send, process, start, workflow *span
	// attempts of the workflow's activities.
	attempts []*span
}

func newTrace(id string, spans []*span, orderID string) *trace {
	t := &trace{id: id, spans: spans}
	known := map[string]*span{}
	for _, s := range spans {
		known[s.id] = s
	}
	for _, s := range spans {
		if parent := known[s.parent]; parent != nil {
			parent.children = append(parent.children, s)
		} else {
			t.roots = append(t.roots, s)
		}
		if s.text(workflowIDKey) != workflowID(orderID) {
			continue
		}
		switch {
		case hasPrefix(s, "StartWorkflow:") && t.start == nil:
			t.start = s
		case hasPrefix(s, runWorkflow):
			t.workflow = s
		case hasPrefix(s, runActivity):
			t.attempts = append(t.attempts, s)
		}
	}
	t.request = t.spans[0]
	if t.workflow != nil {
		t.start = cmp.Or(known[t.workflow.parent], t.start)
	}
	if t.start != nil {
		t.process = known[t.start.parent]
	}
	if t.process != nil {
		t.send = known[t.process.parent]
	}
	return t
}

func hasPrefix(s *span, prefix string) bool {
	return len(s.name) > len(prefix) && s.name[:len(prefix)] == prefix
}

func (t *trace) begin() time.Time { return t.request.start }

// end returns when the workflow closed, or else the end of the last span.
func (t *trace) end() time.Time {
	if t.workflow != nil {
		return t.workflow.end
	}
	return slices.MaxFunc(t.spans, func(a, b *span) int { return a.end.Compare(b.end) }).end
}

// committed returns when the request's transaction was over: what it said in the outbox could leave from then on.
func (t *trace) committed() time.Time {
	at := t.request.end
	for _, s := range t.request.children {
		if s.text("db.operation.name") == "COMMIT" && s.end.Before(at) {
			at = s.end
		}
	}
	return at
}

// step is a part of an order's way. The steps of an order follow one another without a gap.
type step struct {
	name       string
	begin, end time.Time
	detail     string
}

// steps divides the time from the request to the end. Where several activities run at once, the one that ends last is
// what the workflow waits for; so the way through them is found from the end backwards.
func (t *trace) steps() []step {
	begin := t.begin()
	var way []step
	to := func(name string, end time.Time) {
		if end.After(begin) {
			way = append(way, step{name: name, begin: begin, end: end})
			begin = end
		}
	}
	to("request", t.committed())
	if t.send != nil {
		to("outbox", t.send.start)
	}
	if t.process != nil {
		to("NATS", t.process.start)
	}
	switch {
	case t.workflow != nil:
		to("starter", t.workflow.start)
	case t.start != nil:
		to("starter", t.start.end)
	}
	var back []step
	end := t.end()
	for _, a := range t.activities() { // The last to end comes first.
		from := later(a.scheduled, begin)
		if a.end.After(end) || !a.end.After(from) {
			continue // Another was waited for.
		}
		if end.After(a.end) {
			back = append(back, step{name: "engine", begin: a.end, end: end})
		}
		back = append(back, step{name: a.name, begin: from, end: a.end, detail: a.detail()})
		end = from
	}
	slices.Reverse(back)
	if len(back) > 0 {
		to("engine", end)
	} else {
		to("engine", t.end())
	}
	return append(way, back...)
}

// activity is one call of an activity with all its attempts.
type activity struct {
	name           string
	scheduled, end time.Time
	attempts       []*span
}

// activities returns them with the last to end first.
func (t *trace) activities() []*activity {
	byID := map[string]*activity{}
	var all []*activity
	for _, s := range t.attempts {
		id := s.text(activityIDKey)
		a := byID[id]
		if a == nil {
			a = &activity{name: s.name[len(runActivity):], scheduled: s.start}
			byID[id] = a
			all = append(all, a)
		}
		a.attempts = append(a.attempts, s)
		a.end = later(a.end, s.end)
		for _, e := range s.events {
			if e.name == "scheduled" && e.at.Before(a.scheduled) {
				a.scheduled = e.at
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *activity) int { return b.end.Compare(a.end) })
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// attempt returns which attempt of its activity the span is; 0 if it is none.
func (s *span) attempt() int64 {
	n, _ := s.attributes[attemptKey].(int64)
	return n
}
