package supervise

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Spec describes one process.
type Spec struct {
	Name string
	Path string
	Args []string
	Env  []string
	Dir  string
	// Level orders the stop: higher levels stop first.
	Level int
	// Credential is the user to run as, or nil.
	Credential *syscall.Credential
	// StopSignal asks the process to end (default SIGTERM); after StopTimeout (default 10s) it is killed.
	StopSignal  syscall.Signal
	StopTimeout time.Duration
	// KillSignal ends the process without delay; SIGKILL unless it has a better one.
	KillSignal syscall.Signal
	// OrphanSignal is what the kernel sends when the supervisor itself is killed (default SIGKILL).
	OrphanSignal syscall.Signal
	Output       *Output
	// ReadyURL is told to others; Ready is asked by WaitReady until it returns nil.
	ReadyURL string
	Ready    func(context.Context) error
}

// Process is one supervised process, over all its restarts.
type Process struct {
	spec  Spec
	group *Group
	stop  chan struct{} // closed when a stop is asked for
	done  chan struct{} // closed when the process has ended and will not be restarted

	mu       sync.Mutex
	cmd      *exec.Cmd
	started  time.Time
	running  bool
	stopping bool
	ready    bool
	restarts int
	// ending and succeeded tell how the last run ended.
	ending    error
	succeeded bool
}

func newProcess(g *Group, spec Spec) *Process {
	if spec.StopSignal == 0 {
		spec.StopSignal = syscall.SIGTERM
	}
	if spec.KillSignal == 0 {
		spec.KillSignal = syscall.SIGKILL
	}
	if spec.OrphanSignal == 0 {
		spec.OrphanSignal = syscall.SIGKILL
	}
	if spec.StopTimeout == 0 {
		spec.StopTimeout = 10 * time.Second
	}
	return &Process{spec: spec, group: g, stop: make(chan struct{}), done: make(chan struct{})}
}

// Status is a snapshot of a process. PID is 0 while it is down.
type Status struct {
	Name     string
	PID      int
	Restarts int
	Started  time.Time
	ReadyURL string
}

// Status returns what is known now.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Name: p.spec.Name, Restarts: p.restarts, Started: p.started, ReadyURL: p.spec.ReadyURL}
	if p.running {
		s.PID = p.cmd.Process.Pid
	}
	return s
}

func (p *Process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return errStopping
	}
	//nolint:gosec,noctx // Running what it is told is its purpose; Stop ends it, more gently than a context would.
	cmd := exec.Command(p.spec.Path, p.spec.Args...)
	cmd.Env, cmd.Dir = p.spec.Env, p.spec.Dir
	cmd.Stdout, cmd.Stderr = p.spec.Output, p.spec.Output
	cmd.SysProcAttr = attributes(p.spec)
	// A grandchild that keeps the output open must not keep us from seeing the child's end.
	cmd.WaitDelay = time.Second
	if err := p.group.fork(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.cmd, p.running, p.started = cmd, true, time.Now()
	return nil
}

// watch waits for the process to end and starts it again, until it is stopped.
func (p *Process) watch() {
	defer close(p.done)
	backoff := backoffFirst
	for {
		err := p.cmd.Wait()
		p.spec.Output.flush()

		p.mu.Lock()
		p.running = false
		p.succeeded = err == nil || errors.Is(err, exec.ErrWaitDelay)
		p.ending = err
		if p.succeeded {
			p.ending = errors.New("exit status 0")
		}
		lived := time.Since(p.started)
		final := p.stopping || !p.ready
		p.mu.Unlock()
		p.group.changed()
		if final {
			return
		}
		if lived > steady {
			backoff = backoffFirst
		}
		for {
			p.group.logf("%s ended (%v) after %v; restarting in %v",
				p.spec.Name, p.ending, lived.Round(time.Millisecond), backoff)
			select {
			case <-time.After(backoff):
			case <-p.stop:
				return
			}
			backoff = min(2*backoff, backoffMost)
			err := p.start()
			if errors.Is(err, errStopping) {
				return
			}
			if err == nil {
				break
			}
			p.ending, lived = err, 0
		}
		p.mu.Lock()
		p.restarts++
		p.mu.Unlock()
		p.group.changed()
		p.group.logf("%s restarted, pid %d", p.spec.Name, p.Status().PID)
	}
}

// WaitReady asks until the process is ready. It fails with the last lines of its output when the
// process ends first or the time is over.
func (p *Process) WaitReady(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		err := p.spec.Ready(ctx)
		if err == nil {
			p.mu.Lock()
			p.ready = true
			p.mu.Unlock()
		}
		select {
		case <-p.done:
			return p.failure(fmt.Sprintf("ended before it was ready (%v)", p.ending))
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return p.failure(fmt.Sprintf("was not ready within %v (%v)", timeout, err))
			}
			return ctx.Err()
		}
	}
}

func (p *Process) failure(what string) error {
	tail := p.spec.Output.Tail()
	if len(tail) == 0 {
		return fmt.Errorf("%s %s and printed nothing", p.spec.Name, what)
	}
	return fmt.Errorf("%s %s; its last lines:\n  %s", p.spec.Name, what, strings.Join(tail, "\n  "))
}

// Stop asks the process to end, kills it if it does not in time, and returns when it is gone.
func (p *Process) Stop() {
	p.mu.Lock()
	if !p.stopping {
		p.stopping = true
		close(p.stop)
	}
	if p.running {
		_ = p.cmd.Process.Signal(p.spec.StopSignal)
	}
	p.mu.Unlock()

	select {
	case <-p.done:
	case <-time.After(p.spec.StopTimeout):
		p.group.logf("%s did not stop within %v; killing it", p.spec.Name, p.spec.StopTimeout)
		p.kill()
	}
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.signalGroup(syscall.SIGKILL)
		<-p.done
	}
}

func (p *Process) kill() {
	p.mu.Lock()
	if !p.stopping {
		p.stopping = true
		close(p.stop)
	}
	p.mu.Unlock()
	p.signalGroup(p.spec.KillSignal)
}

// signalGroup reaches also what the process has started. The process is its group's leader, so the
// group id is its pid and cannot be reused while it runs.
func (p *Process) signalGroup(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		_ = syscall.Kill(-p.cmd.Process.Pid, signal)
	}
}
