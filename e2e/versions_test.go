//go:build !compose

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	operations "github.com/orderflow/orderflow/orchestrator/client"
	orders "github.com/orderflow/orderflow/services/orders/client"
	payments "github.com/orderflow/orderflow/services/payments/client"
)

// TestASagaEndsUnderTheVersionThatBeganIt rolls out a new orchestrator whose saga could not go on with what the one
// before began, takes it back, loses it, and retires the old one, with orders under way all the time.
func TestASagaEndsUnderTheVersionThatBeganIt(t *testing.T) {
	t.Parallel()
	r := startRollout(t)

	// The first orchestrator that has a version takes over what those without one began.
	const first, second, third = "first", "second", "third"
	oldest := r.park()
	stopFirst := r.start(r.build(first, asItIs))
	r.setCurrent(first)
	r.finish(oldest)
	old := r.park()
	r.require(first, oldest, old)

	// The new version is given a tenth of the new orders, until it has one: 200 orders without one have a probability of
	// 0.9^200 < 1e-9, as have ten without one of the old version's.
	other := r.build(second, sleepingFirst)
	stopSecond := r.start(other)
	r.setRamp(second, 10)
	tenth := r.confirm(10)
	for len(tenth) < 200 && !r.any(second, tenth) {
		tenth = append(tenth, r.confirm(10)...)
	}
	require.True(t, r.any(second, tenth), "no order of %d was begun by the new version", len(tenth))
	require.True(t, r.any(first, tenth), "no order of %d was begun by the old version", len(tenth))

	// Then all of them, and it is the current one.
	r.setRamp(second, 100)
	r.require(second, r.confirm(10)...)
	r.setCurrent(second)
	lost := r.park()
	r.require(second, append(r.confirm(5), lost)...)

	// It is rolled back. What it began stays with it: where nobody runs it, its sagas stand still and say so, until they
	// are moved to a version that replays them.
	r.setCurrent(first)
	r.require(first, r.confirm(5)...)
	stopSecond()
	silent, err := r.operators.GetSagaWithResponse(t.Context(), lost)
	require.NoError(t, err)
	require.Contains(t, string(silent.Body), "saga_version_silent")
	r.start(other, "TEMPORAL_WORKER_BUILD_ID="+third)
	r.awaitVersion(third)
	r.move(second, third)
	r.finish(lost)
	r.require(third, lost)
	r.awaitDrainage(second, "DRAINED")

	// The new version again. The old one is not drained as long as one of its orders is under way, and then it is.
	r.setCurrent(third)
	r.awaitDrainage(first, "DRAINING")
	r.require(first, old)
	r.finish(old)
	r.require(first, old)
	r.awaitDrainage(first, "DRAINED")
	stopFirst()
	r.require(third, r.confirm(1)...)
	t.Log(r.stack.audit(t))
}

// deployment is the name of the orchestrator's worker deployment.
const deployment = "orchestrator"

// rollout is a platform whose orchestrators are started and routed by hand, as an operator does it.
type rollout struct {
	t         *testing.T
	stack     *stack
	orders    *orders.ClientWithResponses
	operators *operations.ClientWithResponses
	state     struct {
		Root    string `json:"root"`
		Data    string `json:"data"`
		NATSURL string `json:"nats_url"`
	}
	answer string // the last one of Temporal
}

// startOwnStack starts a platform that only one test works with, and returns its data directory too. It need not build
// what the shared platform has built.
func startOwnStack(t *testing.T, name string) (s *stack, data string) {
	t.Helper()
	dir := filepath.Dir(programs)
	data = filepath.Join(dir, name)
	require.NoError(t, os.CopyFS(filepath.Join(data, "bin"), os.DirFS(filepath.Join(dir, "platform", "bin"))))
	s, err := startStack(data)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the platform's last words:\n%s", s.words())
		}
		require.NoError(t, s.stop())
		require.NoError(t, os.RemoveAll(data))
	})
	return s, data
}

func startRollout(t *testing.T) *rollout {
	t.Helper()
	s, _ := startOwnStack(t, "versions")
	r := &rollout{t: t, stack: s, orders: ordersClient(t, s)}
	content, err := os.ReadFile(s.file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &r.state))
	r.operators, err = operations.NewClientWithResponses(s.URLs["orchestrator"],
		operations.WithHTTPClient(&http.Client{Timeout: time.Minute}))
	require.NoError(t, err)
	return r
}

// start starts an orchestrator that has a version: its commit, or what TEMPORAL_WORKER_BUILD_ID among settings says.
func (r *rollout) start(program string, settings ...string) (stop func()) {
	r.t.Helper()
	cmd := exec.Command(program, "serve")
	cmd.Env = append([]string{
		"NATS_URL=" + r.state.NATSURL, "PAYLOAD_KEYS=" + r.stack.PayloadKeys, "COMPENSATION_ATTEMPTS=1",
		"TEMPORAL_ADDRESS=" + r.stack.Temporal.Address, "TEMPORAL_NAMESPACE=" + r.stack.Temporal.Namespace,
		"HTTP_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0", "TEMPORAL_DEPLOYMENT_NAME=" + deployment,
	}, settings...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(r.t, cmd.Start())
	stop = sync.OnceFunc(func() {
		err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
		if err != nil || r.t.Failed() {
			r.t.Errorf("%s: %v; its last words:\n%s", program, err, out.Bytes()[max(0, out.Len()-10_000):])
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// build builds the orchestrator as if from another commit, and so another version. edit changes the code of its saga.
func (r *rollout) build(commit string, edit func(code string) string) string {
	r.t.Helper()
	source := filepath.Join(r.state.Root, "orchestrator", "internal", "saga", "saga.go")
	code, err := os.ReadFile(source)
	require.NoError(r.t, err)
	program := filepath.Join(r.state.Data, "orchestrator-"+commit)
	require.NoError(r.t, os.WriteFile(program+".go", []byte(edit(string(code))), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: program + ".go"}})
	require.NoError(r.t, err)
	require.NoError(r.t, os.WriteFile(program+".json", overlay, 0o600))

	cmd := exec.CommandContext(r.t.Context(), "go", "build", "-overlay", program+".json", "-o", program,
		"-ldflags", "-X github.com/orderflow/orderflow/pkg/service.commit="+commit, "./cmd/orchestrator")
	cmd.Dir = filepath.Join(r.state.Root, "orchestrator")
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
	return program
}

// asItIs leaves the saga as it is.
func asItIs(code string) string { return code }

// sleepingFirst makes a saga that cannot go on with what asItIs began: it does something else first.
func sleepingFirst(code string) string {
	const begin = "s := &saga{in: in"
	return strings.Replace(code, begin, "_ = workflow.Sleep(ctx, 1e6)\n"+begin, 1)
}

// confirm places orders and waits until they are confirmed.
func (r *rollout) confirm(n int) []string {
	r.t.Helper()
	ids := make([]string, n)
	var clients sync.WaitGroup
	for i := range ids {
		clients.Go(func() {
			var err error
			if ids[i], err = place(r.t.Context(), r.orders, newOrder("pm_card_visa", berlin)); err != nil {
				r.t.Error(err)
			}
		})
	}
	clients.Wait()
	require.False(r.t, r.t.Failed())
	for _, id := range ids {
		require.Equal(r.t, orders.OrderStatusConfirmed, end(r.t, r.orders, id, time.Minute).Status)
	}
	return ids
}

// park places an order whose payment cannot be voided, and waits until its saga needs an operator.
func (r *rollout) park() string {
	r.t.Helper()
	id, err := place(r.t.Context(), r.orders, newOrder(voidDown, carrierRefuses))
	require.NoError(r.t, err)
	awaitStep(r.t, r.operators, id, voidStep, operations.StepStateParked)
	return id
}

const voidStep = "payments/Cancel"

// finish cures what holds a parked order up, and has it end.
func (r *rollout) finish(id string) {
	r.t.Helper()
	r.voids(true)
	defer r.voids(false)
	res := resolve(r.t, r.operators, id, uuid.NewString(),
		operations.Decision{Step: voidStep, Action: operations.Retry, Reason: "the provider is back"})
	require.NotNil(r.t, res.JSON200, "%s", res.Body)
	require.Equal(r.t, orders.OrderStatusFailed, end(r.t, r.orders, id, time.Minute).Status)
}

func (r *rollout) voids(work bool) {
	r.t.Helper()
	c, err := payments.NewClientWithResponses(r.stack.URLs["payments"])
	require.NoError(r.t, err)
	res, err := c.SetSandboxOutageWithResponse(r.t.Context(), payments.SandboxOutage{Void: !work})
	require.NoError(r.t, err)
	require.NotNil(r.t, res.JSON200, "%s", res.Body)
}

// routing is what Temporal says of the deployment.
type routing struct {
	Info struct {
		Config struct {
			Current    version `json:"currentDeploymentVersion"`
			Ramping    version `json:"rampingDeploymentVersion"`
			Percentage float32 `json:"rampingVersionPercentage"`
		} `json:"routingConfig"`
		State string `json:"routingConfigUpdateState"`
	} `json:"workerDeploymentInfo"`
}

type version struct {
	Build string `json:"buildId"`
}

// setCurrent is temporal worker deployment set-current-version.
func (r *rollout) setCurrent(build string) {
	r.t.Helper()
	r.route("set-current-version", map[string]any{"buildId": build}, func(now routing) bool {
		return now.Info.Config.Current.Build == build
	})
}

// setRamp is temporal worker deployment set-ramping-version.
func (r *rollout) setRamp(build string, percentage float32) {
	r.t.Helper()
	r.route("set-ramping-version", map[string]any{"buildId": build, "percentage": percentage}, func(now routing) bool {
		return now.Info.Config.Ramping.Build == build && now.Info.Config.Percentage == percentage
	})
}

// route changes the routing as soon as the version polls, and waits until the task queue follows.
func (r *rollout) route(change string, to map[string]any, done func(routing) bool) {
	r.t.Helper()
	r.await(func() bool { return r.ask(http.MethodPost, "worker-deployments/"+deployment+"/"+change, nil, to, nil) },
		"%s to %v", change, to)
	r.await(func() bool {
		var now routing
		return r.ask(http.MethodGet, "worker-deployments/"+deployment, nil, nil, &now) &&
			done(now) && strings.HasSuffix(now.Info.State, "_COMPLETED")
	}, "%s to %v", change, to)
}

// versionInfo is what Temporal says of one version.
type versionInfo struct {
	Info struct {
		Drainage struct {
			Status  string    `json:"status"`
			Changed time.Time `json:"lastChangedTime"`
			Checked time.Time `json:"lastCheckedTime"`
		} `json:"drainageInfo"`
	} `json:"workerDeploymentVersionInfo"`
}

// awaitVersion waits until Temporal knows the version.
func (r *rollout) awaitVersion(build string) {
	r.t.Helper()
	r.await(func() bool {
		return r.ask(http.MethodGet, "worker-deployment-versions/"+deployment+"/"+build, nil, nil, nil)
	},
		"no worker of %s polls", build)
}

// awaitDrainage waits until Temporal has counted the open sagas of a version and says so.
func (r *rollout) awaitDrainage(build, status string) {
	r.t.Helper()
	r.await(func() bool {
		var now versionInfo
		ok := r.ask(http.MethodGet, "worker-deployment-versions/"+deployment+"/"+build, nil, nil, &now)
		drainage := now.Info.Drainage
		counted := status == "DRAINED" || drainage.Checked.After(drainage.Changed)
		return ok && counted && strings.HasSuffix(drainage.Status, "_"+status)
	}, "%s is not %s", build, status)
}

// move is temporal workflow update-options --query: it pins the open sagas of one version to another.
func (r *rollout) move(from, to string) {
	r.t.Helper()
	query := fmt.Sprintf("TemporalWorkerDeploymentVersion = '%s:%s' AND ExecutionStatus = 'Running'", deployment, from)
	job := uuid.NewString()
	begun := r.ask(http.MethodPost, "batch-operations/"+job, nil, map[string]any{
		"visibilityQuery": query, "reason": from + " is gone",
		"updateWorkflowOptionsOperation": map[string]any{
			"workflowExecutionOptions": map[string]any{"versioningOverride": map[string]any{"pinned": map[string]any{
				"behavior": "PINNED_OVERRIDE_BEHAVIOR_PINNED",
				"version":  map[string]string{"deploymentName": deployment, "buildId": to},
			}}},
			"updateMask": "versioningOverride",
		},
	}, nil)
	require.True(r.t, begun)
	r.await(func() bool {
		var batch struct {
			State    string `json:"state"`
			Complete string `json:"completeOperationCount"`
		}
		return r.ask(http.MethodGet, "batch-operations/"+job, nil, nil, &batch) &&
			strings.HasSuffix(batch.State, "_COMPLETED") && batch.Complete == "1"
	}, "the saga of %s is not moved to %s", from, to)
}

// pinned returns the orders whose sagas are pinned to a version.
func (r *rollout) pinned(build string) (ids []string) {
	r.t.Helper()
	var found struct {
		Executions []struct {
			Execution struct {
				WorkflowID string `json:"workflowId"`
			} `json:"execution"`
		} `json:"executions"`
	}
	query := fmt.Sprintf("TemporalWorkerDeploymentVersion = '%s:%s' AND TemporalWorkflowVersioningBehavior = 'Pinned'",
		deployment, build)
	require.True(r.t, r.ask(http.MethodGet, "workflows",
		url.Values{"pageSize": {"1000"}, "query": {query}}, nil, &found))
	for _, e := range found.Executions {
		ids = append(ids, strings.TrimPrefix(e.Execution.WorkflowID, "order/"))
	}
	return ids
}

// any reports whether an order is pinned to a version. Temporal's lists lag a little behind.
func (r *rollout) any(build string, ids []string) bool {
	r.t.Helper()
	pinned := r.pinned(build)
	return slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(pinned, id) })
}

// require wants all orders to be pinned to a version.
func (r *rollout) require(build string, ids ...string) {
	r.t.Helper()
	r.await(func() bool {
		pinned := r.pinned(build)
		return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(pinned, id) })
	}, "not all of %v are pinned to %s", ids, build)
}

// await waits until something is so.
func (r *rollout) await(so func() bool, otherwise string, args ...any) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !so(); time.Sleep(100 * time.Millisecond) {
		require.True(r.t, time.Now().Before(deadline), fmt.Sprintf(otherwise, args...)+"; Temporal: "+r.answer)
	}
}

// ask asks Temporal's HTTP API, and reports whether it did as asked.
func (r *rollout) ask(method, path string, query url.Values, body, answer any) bool {
	r.t.Helper()
	content, err := json.Marshal(body)
	require.NoError(r.t, err)
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.stack.URLs["temporal_http"]+
		"/api/v1/namespaces/"+r.stack.Temporal.Namespace+"/"+path+"?"+query.Encode(), bytes.NewReader(content))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.answer = err.Error()
		return false
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	r.answer = string(text)
	return err == nil && res.StatusCode == http.StatusOK && (answer == nil || json.Unmarshal(text, answer) == nil)
}
