package traces

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// tick is what times are rounded to. Points in time are rounded, not the spaces between them, so that what is printed
// adds up.
const tick = 100 * time.Microsecond

// ms returns the time from one point to another, each as it is rounded on the clock that starts at zero.
func ms(zero, from, to time.Time) string {
	took := to.Sub(zero).Round(tick) - from.Sub(zero).Round(tick)
	return fmt.Sprintf("%.1f", float64(took)/float64(time.Millisecond))
}

func (t *trace) printSteps(out io.Writer, orderID string) {
	zero, end, until := t.begin(), t.end(), "from placed to end"
	fmt.Fprintf(out, "order %s (trace %s)\n", orderID, t.id)
	if t.workflow == nil {
		fmt.Fprintln(out, "It has not ended, or its end is not known yet; this is its way so far.")
		until = "so far"
	}
	fmt.Fprintf(out, "\n%11s %11s\n", "at ms", "took ms")
	for _, s := range t.steps() {
		line := fmt.Sprintf("%11s %11s  %-20s  %s", ms(zero, zero, s.begin), ms(zero, s.begin, s.end), s.name, s.detail)
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	fmt.Fprintf(out, "%11s %11s  %s\n\n", "", ms(zero, zero, end), until)
}

// detail divides an activity's time further: until its first attempt was begun, the attempts, and the pauses between.
func (a *activity) detail() string {
	first := a.attempts[0]
	zero := a.scheduled
	var run time.Duration
	for _, s := range a.attempts {
		run += s.end.Sub(zero).Round(tick) - s.start.Sub(zero).Round(tick)
	}
	queue := first.start.Sub(zero).Round(tick)
	detail := fmt.Sprintf("queue %s, run %s", inMS(queue), inMS(run))
	if pauses := a.end.Sub(zero).Round(tick) - queue - run; pauses > 0 {
		detail += ", pauses " + inMS(pauses)
	}
	last := a.attempts[len(a.attempts)-1]
	if n := last.attempt(); n > 1 {
		detail += fmt.Sprintf(", %d attempts", n)
	}
	if last.failed {
		detail += ", failed: " + last.reason
	}
	return detail
}

func inMS(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func (t *trace) printTree(out io.Writer, zero time.Time) {
	fmt.Fprintf(out, "%11s %11s  %-12s  span\n", "at ms", "took ms", "service")
	missing := map[string]bool{}
	for _, root := range t.roots {
		if root != t.roots[0] && !missing[root.parent] {
			missing[root.parent] = true
			fmt.Fprintf(out, "%25s  %-12s  … of a span that is not recorded, or not yet\n", "", "")
		}
		root.print(out, zero, 0)
	}
}

// queryName finds the name that sqlc writes above a statement.
var queryName = regexp.MustCompile(`^-- name: (\w+)`)

func (s *span) print(out io.Writer, zero time.Time, depth int) {
	fmt.Fprintf(out, "%11s %11s  %-12s  %s%s", ms(zero, zero, s.start), ms(zero, s.start, s.end), s.service,
		strings.Repeat("  ", depth), s.name)
	if m := queryName.FindStringSubmatch(s.text("db.query.text")); m != nil {
		fmt.Fprint(out, " ", m[1])
	}
	if n := s.attempt(); n > 1 {
		fmt.Fprintf(out, ", attempt %d", n)
	}
	if s.failed {
		fmt.Fprint(out, "  ✗ ", s.reason)
	}
	fmt.Fprintln(out)
	for _, child := range s.children {
		child.print(out, zero, depth+1)
	}
}
