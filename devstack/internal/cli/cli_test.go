package cli

import (
	"bytes"
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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/orderflow/orderflow/devstack/internal/stack"
)

func TestMisuseIsOneSentenceAndExitsWith2(t *testing.T) {
	t.Parallel()
	for args, message := range map[string]string{
		"":                        "a command is missing: up, exec, trace, prepare, clean, temporal, nats or ui (-h explains them)",
		"down":                    `unknown command "down": it is up, exec, trace, prepare, clean, temporal, nats or ui (-h explains them)`,
		"up --port auto":          "up: flag provided but not defined: -port (-h lists the flags)",
		"up --ports many":         `up: --ports is default or auto, not "many"`,
		"up --only orders":        `up: --only can be infra, not "orders"`,
		"up now":                  `up: unexpected "now" (-h lists the flags)`,
		"exec":                    "exec: a command is missing: devstack exec -- COMMAND",
		"trace":                   "trace: the id of an order is missing: devstack trace ORDER",
		"prepare all":             `prepare: unexpected "all" (-h lists the flags)`,
		"clean all":               `clean: unexpected "all" (-h lists the flags)`,
		"temporal":                "temporal: DATABASE_URL must be set to postgres://user:password@host:port/name",
		"temporal --port x":       `temporal: invalid value "x" for flag -port: parse error (-h lists the flags)`,
		"nats":                    "nats: --store must name the directory of the streams",
		"nats --store=x --sync=0": `nats: --sync is always or a duration such as 1s, not "0"`,
	} {
		var out, errOut bytes.Buffer
		code := Main(strings.Fields(args), nil, &out, &errOut)
		require.Equal(t, 2, code, args)
		require.Equal(t, "devstack: "+message+"\n", errOut.String())
		require.Empty(t, out.String())
	}
}

func TestHelpIsNoMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-h", "help", "up -h", "clean --help", "trace -h", "temporal -h", "nats -h", "ui -h"} {
		var out, errOut bytes.Buffer
		require.Zero(t, Main(strings.Fields(args), nil, &out, &errOut), args)
		require.NotEmpty(t, out.String())
		require.Empty(t, errOut.String())
	}
}

func TestAnOrderWithoutATraceIsOneSentence(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	data := t.TempDir()
	require.Equal(t, 1, Main([]string{"trace", "--data", data, "ord_1"}, nil, &out, &errOut))
	require.Equal(t, "devstack: there is no trace of order ord_1 in "+filepath.Join(data, "traces")+": it was not placed on "+
		"this stack, or not sampled, or so long ago that its spans are gone, or OTEL_EXPORTER_OTLP_ENDPOINT had them sent "+
		"elsewhere\n", errOut.String())
	require.Empty(t, out.String())
}

// upRun is one `devstack up` as its own process.
type upRun struct {
	cmd   *exec.Cmd
	data  string
	state string
	ended chan struct{}

	mu  sync.Mutex
	out strings.Builder
}

func (r *upRun) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *upRun) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// start runs `devstack up` with automatic ports on a data directory; more are flags and NAME=value.
func start(t *testing.T, data string, more ...string) *upRun {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	r := &upRun{data: data, state: filepath.Join(t.TempDir(), "state.json"), ended: make(chan struct{})}
	r.cmd = exec.Command(self, "up", "--ports", "auto", "--data", data, "--state", r.state)
	// Nothing here depends on surviving a power cut, and initial checkpoints are slow without a fast disk.
	r.cmd.Env = append(os.Environ(), asDevstack+"=1", "ORDERFLOW_POSTGRES_FSYNC=off")
	for _, arg := range more {
		if strings.HasPrefix(arg, "-") {
			r.cmd.Args = append(r.cmd.Args, arg)
		} else {
			r.cmd.Env = append(r.cmd.Env, arg)
		}
	}
	r.cmd.Stdout, r.cmd.Stderr = r, r
	require.NoError(t, r.cmd.Start())
	go func() {
		_ = r.cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		<-r.ended
		if t.Failed() {
			t.Log(r.output())
		}
	})
	return r
}

// ready waits for the state file.
func (r *upRun) ready(t *testing.T) stack.State {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		if _, err := os.Stat(r.state); err == nil {
			return r.read(t)
		}
		select {
		case <-r.ended:
			t.Fatal("devstack ended before the stack was ready")
		case <-deadline:
			t.Fatal("the stack was not ready within two minutes")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *upRun) read(t *testing.T) stack.State {
	t.Helper()
	content, err := os.ReadFile(r.state)
	require.NoError(t, err)
	var s stack.State
	require.NoError(t, json.Unmarshal(content, &s))
	return s
}

func (r *upRun) process(t *testing.T, name string) stack.ProcessState {
	t.Helper()
	for _, p := range r.read(t).Processes {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no process %s in the state", name)
	return stack.ProcessState{}
}

// kill kills a process of the stack and waits until it is back and ready.
func (r *upRun) kill(t *testing.T, name string) {
	t.Helper()
	before := r.process(t, name)
	require.NoError(t, syscall.Kill(before.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		now := r.process(t, name)
		return now.Restarts > before.Restarts && now.PID != 0 && (now.ReadyURL == "" || answers(now.ReadyURL))
	}, time.Minute, 20*time.Millisecond)
}

// stop interrupts devstack and requires that nothing of the stack is left.
func (r *upRun) stop(t *testing.T) {
	t.Helper()
	s := r.read(t)
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	<-r.ended
	require.Zero(t, r.cmd.ProcessState.ExitCode())
	require.NoFileExists(t, r.state)
	for _, p := range s.Processes {
		require.ErrorIs(t, syscall.Kill(p.PID, 0), syscall.ESRCH, p.Name)
	}
}

func answers(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

func waitForGo(ctx workflow.Context) (string, error) {
	var word string
	workflow.GetSignalChannel(ctx, "go").Receive(ctx, &word)
	return word, nil
}

func TestWorkflowsAndEventsSurviveKilledServersAndARestart(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	data := t.TempDir()
	r := start(t, data, "--only=infra")
	s := r.ready(t)
	require.Equal(t, 1, s.Version)
	require.Equal(t, r.cmd.Process.Pid, s.PID)
	require.Equal(t, data, s.Data)
	require.True(t, answers(s.URLs["temporal_metrics"]))

	connect := func(s stack.State) (client.Client, worker.Worker) {
		c, err := client.Dial(client.Options{HostPort: s.Temporal.Address, Namespace: s.Temporal.Namespace, Logger: quiet{}})
		require.NoError(t, err)
		w := worker.New(c, "test", worker.Options{})
		w.RegisterWorkflow(waitForGo)
		require.NoError(t, w.Start())
		return c, w
	}
	c, w := connect(s)
	namespace, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "orderflow"})
	require.NoError(t, err)
	require.Equal(t, 168*time.Hour, namespace.Config.WorkflowExecutionRetentionTtl.AsDuration())
	_, err = c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "order/1", TaskQueue: "test"}, waitForGo)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		list, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: `WorkflowId = "order/1"`})
		return err == nil && len(list.Executions) == 1
	}, 30*time.Second, 50*time.Millisecond, "visibility must know it")

	js := stream(t, s)
	for i := range 100 {
		_, err := js.Publish(ctx, "orders.order.placed.v1", []byte{byte(i)})
		require.NoError(t, err)
	}

	r.kill(t, "nats")
	requireMessages(t, s, 100)
	r.kill(t, "temporal")
	r.kill(t, "postgres")
	require.Eventually(t, func() bool { return c.SignalWorkflow(ctx, "order/1", "", "go", "on") == nil },
		time.Minute, 50*time.Millisecond)
	w.Stop()
	c.Close()

	busy := start(t, data, "--only=infra")
	<-busy.ended
	require.Equal(t, 1, busy.cmd.ProcessState.ExitCode())
	require.Equal(t, "devstack: a devstack is running on "+data+" already: stop it, or give this one another --data directory\n", busy.output())

	r.stop(t)
	r = start(t, data, "--only=infra")
	again := r.ready(t)
	require.Equal(t, s.Temporal, again.Temporal, "ports are remembered")
	require.Equal(t, s.Databases, again.Databases)
	requireMessages(t, again, 100)
	c, w = connect(again)
	var word string
	require.NoError(t, c.GetWorkflow(ctx, "order/1", "").Get(ctx, &word))
	require.Equal(t, "on", word)
	w.Stop()
	c.Close()
	r.stop(t)
}

func stream(t *testing.T, s stack.State) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.NATSURL)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}})
	require.NoError(t, err)
	return js
}

func requireMessages(t *testing.T, s stack.State, want uint64) {
	t.Helper()
	nc, err := nats.Connect(s.NATSURL)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	orders, err := js.Stream(t.Context(), "ORDERS")
	require.NoError(t, err)
	require.Equal(t, want, orders.CachedInfo().State.Msgs)
}

// prebuilt returns a directory with a stand-in for each program.
func prebuilt(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	bin := t.TempDir()
	for _, name := range append(slices.Clone(serviceNames), "orderflow") {
		require.NoError(t, os.Symlink(self, filepath.Join(bin, name)))
	}
	return bin
}

func TestTheWholeStackComesUpAndKeepsItsStock(t *testing.T) {
	t.Parallel()
	data, bin := t.TempDir(), prebuilt(t)
	r := start(t, data, "--bin="+bin, "--root="+bin, "ORDERFLOW_PAYMENTS_LOG_LEVEL=debug")
	s := r.ready(t)
	names := []string{}
	for _, p := range s.Processes {
		names = append(names, p.Name)
	}
	require.Equal(t, append([]string{"postgres", "nats", "temporal", "ui"}, serviceNames...), names)
	require.Len(t, s.OpsURLs, 5)
	require.Len(t, s.Databases, 4)
	require.True(t, answers(s.URLs["ui"]))
	require.True(t, answers(s.OpsURLs["orchestrator"]+"/readyz"))
	require.Contains(t, r.output(), "payments    | payments serves with the level debug\n")
	require.Contains(t, r.output(), "seed        | stock answered 200 OK\n")
	require.Contains(t, r.output(), "curl -sS -X POST "+s.URLs["orders"]+"/v1/orders")

	r.kill(t, "orders")
	r.kill(t, "ui")
	out, code := execute(t, data, bin, `echo "$ORDERS_URL $NATS_URL"; exit 3`)
	require.Equal(t, s.URLs["orders"]+" "+s.NATSURL+"\n", out)
	require.Equal(t, 3, code)
	r.stop(t)
	for _, name := range serviceNames {
		require.Contains(t, r.output(), name+" drained\n")
	}

	r = start(t, data, "--bin="+bin, "--root="+bin, "--no-ui", "--no-seed")
	s = r.ready(t)
	require.NotContains(t, s.URLs, "ui")
	require.NotContains(t, r.output(), "stock answered")
	response, err := http.Get(s.URLs["inventory"] + "/v1/stock")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"items":[{"count":1}]}`, string(body))

	// Without devstack the stack must not live on, and the next start must find everything in order.
	require.NoError(t, r.cmd.Process.Kill())
	<-r.ended
	for _, p := range s.Processes {
		require.Eventually(t, func() bool { return gone(p.PID) }, 30*time.Second, 20*time.Millisecond, p.Name)
	}
	r = start(t, data, "--bin="+bin, "--root="+bin, "--no-ui")
	r.ready(t)
	r.stop(t)
}

// execute runs a shell command by `devstack exec`.
func execute(t *testing.T, data, bin, command string) (out string, code int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "exec", "--data", data, "--root", bin, "--bin", bin, "--", "sh", "-c", command)
	cmd.Env = append(os.Environ(), asDevstack+"=1", "ORDERFLOW_POSTGRES_FSYNC=off")
	cmd.Stderr = t.Output()
	answer, err := cmd.Output()
	var exit *exec.ExitError
	require.True(t, err == nil || errors.As(err, &exit), "%v", err)
	return string(answer), cmd.ProcessState.ExitCode()
}

func TestExecStartsAStackWhereNoneRuns(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	out, code := execute(t, data, prebuilt(t), `curl -fsS "$INVENTORY_URL/v1/stock"`)
	require.Zero(t, code)
	require.JSONEq(t, `{"items":[{"count":1}]}`, out, "seeded")
	_, running, err := stack.Running(stack.Options{Data: data})
	require.NoError(t, err)
	require.False(t, running)
}

func TestAServiceThatCannotStartIsExplainedAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	bin := prebuilt(t)
	r := start(t, t.TempDir(), "--bin="+bin, "--root="+bin, "--no-ui", "ORDERFLOW_SHIPPING_FAIL=yes")
	<-r.ended
	require.Equal(t, 1, r.cmd.ProcessState.ExitCode())
	require.Contains(t, r.output(), "devstack: shipping ended before it was ready (exit status 1); its last lines:\n  shipping has a reason to fail\n")
	require.NoFileExists(t, r.state)
}

// gone counts zombies, which a dead orphan stays where process 1 does not reap.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
