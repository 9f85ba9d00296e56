// Package supervise runs child processes: it starts them, restarts those that die, and stops them so
// that none remains. It knows nothing of what they do.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Group owns a set of processes. Its zero value is not usable; see NewGroup.
type Group struct {
	spawn   chan func()
	changed func()
	logf    func(format string, args ...any)

	mu        sync.Mutex
	processes []*Process
	closed    bool
}

// NewGroup returns an empty group. Changed is called after every change of a process's pid, logf for
// every unexpected death and restart; both from several goroutines.
func NewGroup(changed func(), logf func(format string, args ...any)) *Group {
	g := &Group{spawn: make(chan func()), changed: changed, logf: logf}
	go g.spawner()
	return g
}

// spawner is the one goroutine that forks. The kernel sends a child its orphan signal when the THREAD
// that forked it ends, not the process; an ordinary goroutine's thread may end at any time. This one
// keeps its thread until the group is closed.
func (g *Group) spawner() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for start := range g.spawn {
		start()
	}
}

func (g *Group) fork(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	g.spawn <- func() { result <- cmd.Start() }
	return <-result
}

// Start starts a process. It is restarted when it dies, but only after WaitReady has seen it ready:
// before that, a death is a failed start.
func (g *Group) Start(spec Spec) (*Process, error) {
	p := newProcess(g, spec)
	if err := p.start(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.processes = append(g.processes, p)
	g.mu.Unlock()
	go p.watch()
	g.changed()
	return p, nil
}

// Run runs a command to its end. It fails with the command's last lines; when ctx ends first, the
// command is stopped.
func (g *Group) Run(ctx context.Context, spec Spec) error {
	p := newProcess(g, spec)
	if err := p.start(); err != nil {
		return err
	}
	go p.watch()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Stop()
		return ctx.Err()
	}
	if !p.succeeded {
		return p.failure(fmt.Sprintf("failed (%v)", p.ending))
	}
	return nil
}

// Processes returns the processes in the order of their start.
func (g *Group) Processes() []*Process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.processes)
}

// Stop stops all processes: those of the highest Level first, those of one level together.
func (g *Group) Stop() {
	processes := g.Processes()
	slices.SortStableFunc(processes, func(a, b *Process) int { return b.spec.Level - a.spec.Level })
	for len(processes) > 0 {
		level := processes[0].spec.Level
		var wg sync.WaitGroup
		for len(processes) > 0 && processes[0].spec.Level == level {
			p := processes[0]
			wg.Go(p.Stop)
			processes = processes[1:]
		}
		wg.Wait()
	}
}

// Kill ends all processes at once, without the time to finish their work. Stop must still be called to
// wait for them.
func (g *Group) Kill() {
	for _, p := range g.Processes() {
		p.kill()
	}
}

// Close ends the group. All its processes must have been stopped.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		close(g.spawn)
	}
}

var errStopping = errors.New("the process is being stopped")

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 2 * time.Second
	// steady is how long a process must have lived for its next death to count as a first one.
	steady = 5 * time.Second
)
