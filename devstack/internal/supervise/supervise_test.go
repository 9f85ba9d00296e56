package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// childEnv makes the test binary play a child process.
const childEnv = "SUPERVISE_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		child(role, os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

func child(role string, args []string) {
	switch role {
	case "obedient":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("running")
		<-signals
		if len(args) > 0 { // leaves a trace of the order of stops
			trace, _ := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			_, _ = fmt.Fprintln(trace, args[1])
			_ = trace.Close()
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("running")
		time.Sleep(time.Minute)
	case "failing":
		fmt.Println("about to fail")
		fmt.Fprint(os.Stderr, "cannot open the door")
		os.Exit(3)
	case "supervisor":
		g := NewGroup(func() {}, func(string, ...any) {})
		p, err := g.Start(spec("grandchild", "stubborn", NewOutput(func(string) {})))
		if err != nil {
			panic(err)
		}
		// Threads come and go in a busy program; the child must not go with them.
		for range 20 {
			go func() {
				runtime.LockOSThread()
				time.Sleep(10 * time.Millisecond)
			}()
		}
		time.Sleep(100 * time.Millisecond)
		fmt.Println(p.Status().PID)
		time.Sleep(time.Minute)
	}
}

type testBundle struct {
	group *Group
	mu    sync.Mutex
	log   []string
	state int // number of changes
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{}
	b.group = NewGroup(
		func() { b.mu.Lock(); defer b.mu.Unlock(); b.state++ },
		func(format string, args ...any) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.log = append(b.log, fmt.Sprintf(format, args...))
		})
	t.Cleanup(func() {
		b.group.Stop()
		b.group.Close()
	})
	return b
}

// spec is ready when the child has printed "running".
func spec(name, role string, out *Output, args ...string) Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Spec{
		Name: name, Path: self, Args: args, Output: out,
		Env: append(os.Environ(), childEnv+"="+role),
		Ready: func(context.Context) error {
			if strings.Contains(strings.Join(out.Tail(), "\n"), "running") {
				return nil
			}
			return errors.New("it has not said so")
		},
	}
}

func silent() *Output { return NewOutput(func(string) {}) }

func (b *testBundle) ready(t *testing.T, s Spec) *Process {
	t.Helper()
	p, err := b.group.Start(s)
	require.NoError(t, err)
	require.NoError(t, p.WaitReady(t.Context(), 10*time.Second))
	return p
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestAProcessThatDiesIsRestarted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.ready(t, spec("victim", "obedient", silent()))
	for restarts := 1; restarts <= 2; restarts++ {
		before := p.Status()
		require.NoError(t, syscall.Kill(before.PID, syscall.SIGKILL))
		require.Eventually(t, func() bool {
			now := p.Status()
			return now.Restarts == restarts && now.PID != 0 && now.PID != before.PID
		}, 10*time.Second, 10*time.Millisecond)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	require.GreaterOrEqual(t, b.state, 5, "one change for the start and two for each death")
	require.Contains(t, b.log[0], "victim ended (signal: killed)")
	require.Contains(t, b.log[0], "restarting in 100ms")
	require.Contains(t, b.log[2], "restarting in 200ms")
}

func TestAProcessThatEndsBeforeItIsReadyReportsItsLastLines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, err := b.group.Start(spec("orders", "failing", silent()))
	require.NoError(t, err)
	err = p.WaitReady(t.Context(), 10*time.Second)
	require.ErrorContains(t, err, "orders ended before it was ready (exit status 3)")
	require.ErrorContains(t, err, "about to fail")
	require.ErrorContains(t, err, "cannot open the door")
	require.Zero(t, p.Status().PID)
}

func TestAProcessThatIsNeverReadyIsReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := spec("slow", "obedient", silent())
	s.Ready = func(context.Context) error { return errors.New("503") }
	p, err := b.group.Start(s)
	require.NoError(t, err)
	require.ErrorContains(t, p.WaitReady(t.Context(), 200*time.Millisecond), "slow was not ready within 200ms (503)")
}

func TestStopKillsAProcessThatDoesNotListen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := spec("stubborn", "stubborn", silent())
	s.StopTimeout = 100 * time.Millisecond
	p := b.ready(t, s)
	pid := p.Status().PID
	b.group.Stop()
	require.True(t, gone(pid))
}

func TestKillEndsAPatientStop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := spec("stubborn", "stubborn", silent())
	s.StopTimeout = time.Minute
	pid := b.ready(t, s).Status().PID
	time.AfterFunc(50*time.Millisecond, b.group.Kill)
	begun := time.Now()
	b.group.Stop()
	require.Less(t, time.Since(begun), 10*time.Second)
	require.True(t, gone(pid))
}

func TestStopEndsHigherLevelsFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	trace := filepath.Join(t.TempDir(), "trace")
	for level, name := range []string{"database", "broker", "service"} {
		s := spec(name, "obedient", silent(), trace, name)
		s.Level = level
		b.ready(t, s)
	}
	b.group.Stop()
	order, err := os.ReadFile(trace)
	require.NoError(t, err)
	require.Equal(t, "service\nbroker\ndatabase\n", string(order))
}

func TestAStoppedProcessIsNotRestarted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.ready(t, spec("done", "obedient", silent()))
	p.Stop()
	time.Sleep(3 * backoffFirst)
	require.Zero(t, p.Status().PID)
	require.Zero(t, p.Status().Restarts)
}

func TestRunReportsTheLastLinesOfACommandThatFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.group.Run(t.Context(), spec("the build of orders", "failing", silent()))
	require.ErrorContains(t, err, "the build of orders failed (exit status 3); its last lines:\n  about to fail")
}

func TestRunStopsItsCommandWithTheContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.group.Run(ctx, spec("long", "obedient", silent())), context.DeadlineExceeded)
}

func TestChildrenDieWithAKilledSupervisor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a child of its parent's death")
	}
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	supervisor := exec.Command(self)
	supervisor.Env = append(os.Environ(), childEnv+"=supervisor")
	out, err := supervisor.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, supervisor.Start())

	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.False(t, gone(pid), "the child must live as long as its supervisor")

	require.NoError(t, supervisor.Process.Kill())
	_ = supervisor.Wait()
	require.Eventually(t, func() bool { return gone(pid) || zombie(pid) }, 10*time.Second, 10*time.Millisecond)
}

// zombie is what a dead orphan stays where process 1 does not reap.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestLinesOfManyProcessesAreNotMixed(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	console := NewConsole(&b, 12, false)
	orders, payments := console.Lines("orders"), console.Lines("payments")
	_, _ = fmt.Fprint(orders, "half a ")
	_, _ = fmt.Fprint(payments, "one\r\ntwo\n")
	_, _ = fmt.Fprint(orders, "line\nno end")
	orders.flush()
	require.Equal(t, "payments    | one\npayments    | two\norders      | half a line\norders      | no end\n", b.String())
	require.Equal(t, []string{"half a line", "no end"}, orders.Tail())
}
