package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// stack is a running platform.
type stack struct {
	URLs      map[string]string `json:"urls"`
	Databases map[string]string `json:"databases"`
	Processes []process         `json:"processes"`

	file string
	cmd  *exec.Cmd
	out  *bytes.Buffer
	done chan struct{}
}

type process struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"`
	ReadyURL string `json:"ready_url"`
	Restarts int    `json:"restarts"`
}

// platform is shared by the tests.
var platform *stack

// programs is where the programs under test are built, once.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "orderflow-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		programs = filepath.Join(dir, "bin")
		for name, module := range map[string]string{"devstack": "devstack", "orderflow": "orchestrator"} {
			if err := build(name, module); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		platform, err = startStack(filepath.Join(dir, "platform"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if code == 0 { // Whatever the tests did, the books agree.
			if out, err := platform.orderflow(context.Background(), "audit"); err != nil {
				fmt.Fprintln(os.Stderr, out, err)
				code = 1
			}
		}
		if err := platform.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if code != 0 {
			fmt.Fprintf(os.Stderr, "the platform's last words:\n%s\n", tail(platform.out.Bytes(), 30_000))
		}
		return code
	}())
}

func build(name, module string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(programs, name), "./cmd/"+name)
	cmd.Dir = filepath.Join("..", module)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}

// startStack starts a platform of its own on free ports, and waits until it is ready. External companies answer quickly
// and an undo is parked soon, so that tests need not wait.
func startStack(data string) (*stack, error) {
	s := &stack{file: data + ".json", out: &bytes.Buffer{}, done: make(chan struct{})}
	if err := os.Remove(s.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s.cmd = exec.Command(filepath.Join(programs, "devstack"), "up",
		"--root", "..", "--ports", "auto", "--no-ui", "--data", data, "--state", s.file)
	s.cmd.Env = append(os.Environ(),
		"ORDERFLOW_PAYMENTS_GATEWAY_TIMEOUT=1s",
		"ORDERFLOW_SHIPPING_CARRIER_TIMEOUT=1s",
		"ORDERFLOW_SHIPPING_SANDBOX_SLOW=4s",
		"ORDERFLOW_ORCHESTRATOR_COMPENSATION_ATTEMPTS=5",
	)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		if s.read() == nil {
			return s, nil
		}
		select {
		case <-s.done:
			return nil, fmt.Errorf("devstack ended early:\n%s", tail(s.out.Bytes(), 10_000))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("the platform is not ready:\n%s", tail(s.out.Bytes(), 10_000)), s.stop())
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

func (s *stack) read() error {
	b, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, s)
}

// stop is Ctrl-C. It fails if anything is left behind.
func (s *stack) stop() error {
	if err := s.read(); err != nil {
		return err
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		return errors.Join(errors.New("devstack does not stop"), s.cmd.Process.Kill())
	}
	for _, p := range s.Processes {
		if p.PID != 0 && !errors.Is(syscall.Kill(p.PID, 0), syscall.ESRCH) {
			return fmt.Errorf("%s is left behind with pid %d", p.Name, p.PID)
		}
	}
	return nil
}

// kill ends a process with SIGKILL and waits until its successor is ready.
func (s *stack) kill(t *testing.T, name string) {
	t.Helper()
	before := s.process(t, name)
	require.NoError(t, syscall.Kill(before.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		now := s.process(t, name)
		return now.PID != 0 && now.PID != before.PID && ready(now.ReadyURL)
	}, time.Minute, 50*time.Millisecond, "%s does not come back", name)
}

func (s *stack) process(t *testing.T, name string) process {
	t.Helper()
	var now stack
	now.file = s.file
	require.NoError(t, now.read())
	i := slices.IndexFunc(now.Processes, func(p process) bool { return p.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no process %s", name)
	return now.Processes[i]
}

func ready(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

// audit runs the operators' audit and wants no finding.
func (s *stack) audit(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.orderflow(t.Context(), append([]string{"audit"}, args...)...)
	require.NoError(t, err, "%s", out)
	return out
}

// orderflow runs the operators' command line.
func (s *stack) orderflow(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "orderflow"), args...)
	cmd.Env = append(os.Environ(), "ORDERS_URL="+s.URLs["orders"], "PAYMENTS_URL="+s.URLs["payments"],
		"INVENTORY_URL="+s.URLs["inventory"], "SHIPPING_URL="+s.URLs["shipping"])
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// findings runs the operators' audit and returns what it finds wrong, by order. Tests that run at the same time have
// orders of their own in every state, so that each looks only at what is said of its own.
func findings(t *testing.T, s *stack) map[string]string {
	t.Helper()
	out, err := s.orderflow(t.Context(), "audit")
	found := map[string]string{}
	for line := range strings.Lines(out) {
		if id, problem, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(id, "ord_") {
			found[id] += problem
		}
	}
	require.Equal(t, len(found) > 0, err != nil, "the exit code contradicts what is printed: %s", out)
	require.Contains(t, out, " orders checked, ")
	return found
}

// tamper changes a service's books behind its back.
func tamper(t *testing.T, s *stack, database, statement string, args ...any) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.Databases[database])
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	changed, err := db.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, changed.RowsAffected())
}
