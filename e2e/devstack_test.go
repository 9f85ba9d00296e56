//go:build !compose

package e2e

import (
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
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sources are the programs that the tests need, and the modules that they are built from.
var sources = map[string]string{"devstack": "devstack", "orderflow": "orchestrator"}

// mortals die while orders are under way, one after the other.
var mortals = []string{
	"shipping", "payments", "inventory", "orchestrator", "temporal", "orders", "nats", "temporal", "payments",
}

// host is a devstack.
type host struct {
	Processes []process `json:"processes"`

	file string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

type process struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"`
	ReadyURL string `json:"ready_url"`
	Restarts int    `json:"restarts"`
}

// startStack starts a platform of its own on free ports, and waits until it is ready. External companies answer quickly
// and an undo is parked soon, so that tests need not wait.
func startStack(data string) (*stack, error) {
	s := &stack{host: host{file: data + ".json", log: data + ".log", done: make(chan struct{})}}
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
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	s.cmd.Stdout, s.cmd.Stderr = log, log
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
			return nil, fmt.Errorf("devstack ended early:\n%s", s.words())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("the platform is not ready:\n%s", s.words()), s.stop())
}

// words returns what the stack said last.
func (s *stack) words() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-30_000):])
}

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

func TestAStoppedStackLeavesNothingBehindAndStillKnowsItsOrders(t *testing.T) {
	t.Parallel()
	data := filepath.Join(filepath.Dir(programs), "restarted")
	s, err := startStack(data)
	require.NoError(t, err)
	c := ordersClient(t, s)
	id, err := place(t.Context(), c, newOrder("pm_card_visa", berlin))
	require.NoError(t, err)
	before := end(t, c, id, time.Minute)
	require.NoError(t, s.stop())

	s, err = startStack(data)
	require.NoError(t, err)
	require.Equal(t, before, end(t, ordersClient(t, s), id, time.Second))
	require.NoError(t, s.stop())
}
