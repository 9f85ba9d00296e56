package natsserver

import (
	"fmt"
	"io"
	"strings"
)

// warnings drops the server's notices: a page of banner at each start hides what matters.
type warnings struct{ out io.Writer }

func (w warnings) print(level, format string, v []any) {
	_, _ = fmt.Fprintf(w.out, level+" "+format+"\n", v...)
}

// Warnf drops failed health checks: whoever asks too early is told so in the answer.
func (w warnings) Warnf(format string, v ...any) {
	if !strings.HasPrefix(format, "Healthcheck failed") {
		w.print("WARN", format, v)
	}
}

func (w warnings) Errorf(format string, v ...any) { w.print("ERROR", format, v) }
func (w warnings) Fatalf(format string, v ...any) { w.print("FATAL", format, v) }
func (w warnings) Noticef(string, ...any)         {}
func (w warnings) Debugf(string, ...any)          {}
func (w warnings) Tracef(string, ...any)          {}
