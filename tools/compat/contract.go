package main

import (
	"maps"
	"path"
	"slices"
)

// comparison compares what a package offers with what its release did.
type comparison struct {
	*findings
	before, after contract
}

// kind is a kind of call with those who meet over it, in the plural.
type kind struct{ name, callers, owners string }

func (c comparison) run() {
	const starters, sagas = "released orchestrators", "sagas in flight"
	own := path.Base(c.after.dir) + " " // Names of what follows say whose they are.
	c.stream()
	c.calls(kind{"activity", "sagas that the released orchestrator started", "released workers"},
		"", c.before.Activities, c.after.Activities)
	c.calls(kind{"workflow", starters, sagas}, "", c.before.Workflows, c.after.Workflows)
	c.calls(kind{"signal", starters, sagas}, own, c.before.Signals, c.after.Signals)
	c.calls(kind{"query", starters, sagas}, own, c.before.Queries, c.after.Queries)
	c.calls(kind{"update", starters, sagas}, own, c.before.Updates, c.after.Updates)
	c.events()
	c.failures(own)
	c.searchAttributes()
	c.otherTypes(own)
}

func (c comparison) stream() {
	was, is, owner := c.before.Stream, c.after.Stream, path.Base(c.after.dir)
	if was.Name != is.Name {
		c.addf(breaks, owner, "the stream changed from `%s` to `%s`: released consumers still read the former",
			was.Name, is.Name)
	}
	for _, subject := range was.Subjects {
		if !slices.Contains(is.Subjects, subject) {
			c.addf(breaks, owner, "the stream takes `%s` no more: released publishers still write there", subject)
		}
	}
}

func (c comparison) calls(k kind, prefix string, before, after map[string]call) {
	each(c, k.name, prefix, before, after, k.callers+" still call it", func(subject string, was, is call) {
		if was.Queue != is.Queue {
			c.addf(breaks, subject, "the task queue changed from `%s` to `%s`: %s still call it on the former, "+
				"where nobody would take it", was.Queue, is.Queue, k.callers)
		}
		if was.ID != is.ID {
			c.addf(breaks, subject, "the id changed from `%s` to `%s`: %s still use the former, and one order would get two",
				was.ID, is.ID, k.callers)
		}
		c.timeouts(k, subject, was, is)
		c.final(k, subject, was, is)
		c.types(subject, was.Request, is.Request,
			side{"request field", k.callers, "send", k.callers + " do not send it"})
		c.types(subject, was.Response, is.Response,
			side{"response field", k.callers, "read", k.owners + " do not answer with it"})
	})
}

func (c comparison) timeouts(k kind, subject string, was, is call) {
	switch {
	case is.StartToClose == was.StartToClose:
	case is.StartToClose.Duration < was.StartToClose.Duration:
		c.addf(breaks, subject, "an attempt may take %s, not %s: %s may still take the longer, and would be cut short",
			is.StartToClose, was.StartToClose, k.owners)
	default:
		c.addf(changed, subject, "an attempt may take %s: %s still allow %s",
			is.StartToClose, k.callers, was.StartToClose)
	}
	switch {
	case is.Heartbeat == was.Heartbeat:
	case was.Heartbeat.Duration == 0:
		c.addf(breaks, subject, "a heartbeat is expected every %s: %s give none, and their attempts would count as lost",
			is.Heartbeat, k.owners)
	case is.Heartbeat.Duration > 0 && is.Heartbeat.Duration < was.Heartbeat.Duration:
		c.addf(breaks, subject, "a heartbeat is expected every %s, not every %s: %s may be slower, "+
			"and their attempts would count as lost", is.Heartbeat, was.Heartbeat, k.owners)
	default:
		c.addf(changed, subject, "fewer heartbeats are expected: %s still expect one every %s", k.callers, was.Heartbeat)
	}
}

func (c comparison) final(k kind, subject string, was, is call) {
	for _, failure := range was.Final {
		if !slices.Contains(is.Final, failure) {
			c.addf(breaks, subject, "the failure `%s` is final no more: %s still end the step with it, "+
				"and it would be tried again", failure, k.owners)
		}
	}
	for _, failure := range is.Final {
		if !slices.Contains(was.Final, failure) {
			c.addf(added, subject, "the failure `%s` is final", failure)
		}
	}
}

func (c comparison) events() {
	each(c, "event", "", c.before.Events, c.after.Events, "released consumers still wait for it",
		func(subject, was, is string) {
			c.types(subject, was, is,
				side{"field", "released consumers", "read", "released publishers do not write it"})
		})
}

func (c comparison) failures(prefix string) {
	each(c, "failure", prefix, c.before.Failures, c.after.Failures, "released callers still decide by it",
		func(subject, was, is string) {
			if was != is {
				c.addf(breaks, subject, "the failure changed from `%s` to `%s`: the kind decides whether sagas in flight "+
					"try again, and which status clients get", was, is)
			}
		})
}

func (c comparison) searchAttributes() {
	each(c, "search attribute", "", c.before.SearchAttributes, c.after.SearchAttributes, "operators still search by it",
		func(subject, was, is string) {
			if was != is {
				c.addf(breaks, subject, "the search attribute changed from %s to %s: sagas in flight still set the former",
					was, is)
			}
		})
}

// otherTypes are those that travel inside of others, sealed for instance.
func (c comparison) otherTypes(prefix string) {
	used := c.before.wireTypes()
	for _, name := range slices.Sorted(maps.Keys(c.before.shapes)) {
		switch {
		case slices.Contains(used, name):
		case c.after.shapes[name] == nil:
			c.addf(breaks, prefix+name, "the wire type was removed: released programs still read and write it")
		default:
			c.types(prefix+name, name, name,
				side{"field", "released programs", "read and write", "released programs do not know it"})
		}
	}
}

func (c comparison) types(subject, before, after string, s side) {
	if before != "" || after != "" {
		compareWire(c.findings, subject, s, c.before.shapes[before], c.after.shapes[after])
	}
}

// each compares what is there before and after, by name. lost says what happens to whom when a name is gone.
func each[V any](
	c comparison, kind, prefix string, before, after map[string]V, lost string, both func(subject string, was, is V),
) {
	for name, was := range before {
		is, kept := after[name]
		switch {
		case kept:
			both(prefix+name, was, is)
		case slices.Contains(c.before.Deprecated, name):
			c.addf(changed, prefix+name, "the %s was removed, as the release announced", kind)
		default:
			c.addf(breaks, prefix+name, "the %s was removed: %s", kind, lost)
		}
	}
	for name := range after {
		if _, old := before[name]; !old {
			c.addf(added, prefix+name, "the %s", kind)
		}
	}
}
