package httpserver

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds what ParsePrefer returns; operations have lower bounds of their own.
const maxWait = 24 * time.Hour

// ParsePrefer reads the preferences of a Prefer header (RFC 7240) that Orderflow knows: how long the client wants to
// wait for the final answer (zero when it did not say), and whether it asks not to wait at all. What it does not know
// or cannot read is ignored, as the RFC demands. Of a preference that appears twice the first counts. Several header
// lines are joined by commas. The caller caps the wait.
func ParsePrefer(header string) (wait time.Duration, respondAsync bool) {
	seen := map[string]bool{}
	for preference := range splitUnquoted(header, ',') {
		for first := range splitUnquoted(preference, ';') { // What follows a semicolon is a parameter.
			name, value, _ := strings.Cut(first, "=")
			name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
			if seen[name] {
				break
			}
			seen[name] = true
			switch name {
			case "wait":
				wait = seconds(value)
			case "respond-async":
				respondAsync = true
			}
			break
		}
	}
	return wait, respondAsync
}

func seconds(value string) time.Duration {
	if unquoted, ok := strings.CutPrefix(value, `"`); ok {
		value = strings.TrimSuffix(unquoted, `"`)
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxWait)
}

// splitUnquoted yields the parts of s between separators that are not within a quoted string.
func splitUnquoted(s string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch {
			case quoted && s[i] == '\\':
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == separator && !quoted:
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}

// joinPrefer makes one of several Prefer lines, which RFC 7240 allows and the generated handlers do not know.
func joinPrefer(h http.Header) {
	if lines := h.Values("Prefer"); len(lines) > 1 {
		h.Set("Prefer", strings.Join(lines, ", "))
	}
}
