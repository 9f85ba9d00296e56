package supervise

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// tailLines is how much of a process's output is kept to explain why it died.
const tailLines = 20

// Console lets many processes write to one stream without mixing their lines.
type Console struct {
	mu     sync.Mutex
	out    io.Writer
	width  int
	colour bool
	names  int
}

// NewConsole writes to out; names are padded to width, and coloured if colour is set.
func NewConsole(out io.Writer, width int, colour bool) *Console {
	return &Console{out: out, width: width, colour: colour}
}

// Printf writes one line of the supervising program itself, without a prefix.
func (c *Console) Printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintf(c.out, format+"\n", args...)
}

// Lines returns the output of one process, prefixed with its name.
func (c *Console) Lines(name string) *Output {
	c.mu.Lock()
	defer c.mu.Unlock()
	prefix := fmt.Sprintf("%-*s| ", c.width, name)
	if c.colour {
		prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", 31+c.names%6, prefix)
	}
	c.names++
	return NewOutput(func(line string) { c.Printf("%s%s", prefix, line) })
}

// Output cuts what a process writes into lines and remembers the last ones.
type Output struct {
	mu      sync.Mutex
	partial []byte
	tail    []string
	sink    func(line string)
}

// NewOutput hands each complete line to sink.
func NewOutput(sink func(line string)) *Output {
	return &Output{sink: sink}
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		i := bytes.IndexByte(o.partial, '\n')
		if i < 0 {
			return len(p), nil
		}
		o.line(strings.TrimRight(string(o.partial[:i]), "\r"))
		o.partial = o.partial[i+1:]
	}
}

// flush passes on a last line that had no end, as a process leaves it when it is killed.
func (o *Output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.partial) > 0 {
		o.line(string(o.partial))
		o.partial = nil
	}
}

func (o *Output) line(line string) {
	o.tail = append(o.tail, line)
	if len(o.tail) > tailLines {
		o.tail = slices.Delete(o.tail, 0, len(o.tail)-tailLines)
	}
	o.sink(line)
}

// Tail returns the last lines, oldest first.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.tail)
}
