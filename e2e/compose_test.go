//go:build compose

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/compose"
)

// sources are the programs that the tests need, and the modules that they are built from.
var sources = map[string]string{"orderflow": "orchestrator"}

// mortals die while orders are under way, one after the other, with all their replicas.
var mortals = []string{
	"shipping", "payments", "inventory", "orchestrator", "temporal", "orders", "nats", "postgres", "gateway",
}

// domains are the services that have a database.
var domains = []string{"orders", "payments", "inventory", "shipping"}

// published are the ports that the file publishes, as it names them.
var published = []string{
	"ORDERS_PORT", "PAYMENTS_PORT", "INVENTORY_PORT", "SHIPPING_PORT", "ORCHESTRATOR_PORT",
	"POSTGRES_PORT", "NATS_PORT", "TEMPORAL_PORT", "TEMPORAL_HTTP_PORT", "TEMPORAL_UI_PORT",
}

// host is a project of docker compose.
type host struct {
	project string
	compose *compose.DockerCompose
	docker  *testcontainers.DockerClient
}

// startStack starts the project's docker-compose.yml, on free ports and under a name of its own, and waits until it is
// ready.
func startStack(data string) (*stack, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	// The file publishes on this host alone, so that is where everything is, wherever the tests think they are.
	if err := os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "localhost"); err != nil {
		return nil, err
	}
	ports, err := freePorts(published)
	if err != nil {
		return nil, err
	}
	volumes, err := labelledVolumes(data + ".yml")
	if err != nil {
		return nil, err
	}
	h := host{project: "orderflow-e2e-" + uuid.NewString()[:8]}
	if h.docker, err = testcontainers.NewDockerClientWithOpts(ctx); err != nil {
		return nil, fmt.Errorf("docker is not there: %w", err)
	}
	h.compose, err = compose.NewDockerComposeWith(compose.StackIdentifier(h.project),
		compose.WithStackFiles("../docker-compose.yml", "testdata/compose.yml", volumes))
	if err != nil {
		return nil, err
	}
	h.compose.WithEnv(ports)
	keys := "e2e:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	h.compose.WithEnv(map[string]string{"PAYLOAD_KEYS": keys})
	s := &stack{URLs: map[string]string{}, Databases: map[string]string{}, PayloadKeys: keys, host: h}
	s.Temporal.Address, s.Temporal.Namespace = "127.0.0.1:"+ports["TEMPORAL_PORT"], "orderflow"
	for _, service := range append([]string{"temporal_http", "orchestrator"}, domains...) {
		s.URLs[service] = "http://127.0.0.1:" + ports[strings.ToUpper(service)+"_PORT"]
	}
	for _, service := range domains {
		s.Databases[service] = fmt.Sprintf("postgres://%[1]s:%[1]s@127.0.0.1:%s/%[1]s", service, ports["POSTGRES_PORT"])
	}
	if err := h.compose.Up(ctx, compose.Wait(true)); err != nil {
		return nil, errors.Join(fmt.Errorf("the platform is not ready: %w\n%s", err, s.words()), s.stop())
	}
	return s, nil
}

// freePorts gives each name a port that is free now.
func freePorts(names []string) (map[string]string, error) {
	ports := map[string]string{}
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // Not before all are chosen, lest one is chosen twice.
		ports[name] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// labelledVolumes writes a compose file that has the volumes removed with everything else when the tests are killed;
// containers and networks are labelled by the library.
func labelledVolumes(file string) (string, error) {
	labelled := map[string]any{"labels": testcontainers.GenericLabels()}
	b, err := json.Marshal(map[string]any{"volumes": map[string]any{"postgres": labelled, "nats": labelled}})
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file, b, 0o600)
}

// words returns what each container said last.
func (h host) words() string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var words bytes.Buffer
	all, err := h.list(ctx)
	if err != nil {
		return err.Error()
	}
	for _, c := range all {
		fmt.Fprintf(&words, "==> %s, %s\n", c.Names[0], c.Status)
		logs, err := h.docker.ContainerLogs(ctx, c.ID,
			client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "50"})
		if err == nil {
			_, err = stdcopy.StdCopy(&words, &words, logs)
			err = errors.Join(err, logs.Close())
		}
		if err != nil {
			fmt.Fprintln(&words, err)
		}
	}
	return words.String()
}

// stop removes the project. It fails if anything of it is left behind.
func (h host) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := h.compose.Down(ctx, compose.RemoveOrphans(true), compose.RemoveVolumes(true)); err != nil {
		return err
	}
	containers, err := h.list(ctx)
	if err != nil {
		return err
	}
	networks, err := h.docker.NetworkList(ctx, client.NetworkListOptions{Filters: h.own()})
	if err != nil {
		return err
	}
	volumes, err := h.docker.VolumeList(ctx, client.VolumeListOptions{Filters: h.own()})
	if err != nil {
		return err
	}
	if left := len(containers) + len(networks.Items) + len(volumes.Items); left > 0 {
		return fmt.Errorf("%d containers, networks or volumes of %s are left behind", left, h.project)
	}
	return h.compose.Close()
}

// own selects what belongs to the project, and to some of its services.
func (h host) own(services ...string) client.Filters {
	filters := client.Filters{}.Add("label", "com.docker.compose.project="+h.project)
	for _, service := range services {
		filters.Add("label", "com.docker.compose.service="+service)
	}
	return filters
}

func (h host) list(ctx context.Context, services ...string) ([]container.Summary, error) {
	found, err := h.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: h.own(services...)})
	return found.Items, err
}

// replicas returns the containers of a service.
func (h host) replicas(t *testing.T, service string) []string {
	t.Helper()
	found, err := h.list(t.Context(), service)
	require.NoError(t, err)
	require.NotEmpty(t, found, "there is no container of %s", service)
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.ID
	}
	return ids
}

// kill ends all containers of a service with SIGKILL and starts them again, which Docker does not do for one that was
// killed through it.
func (h host) kill(t *testing.T, service string) {
	t.Helper()
	all := h.replicas(t, service)
	for _, id := range all {
		_, err := h.docker.ContainerKill(t.Context(), id, client.ContainerKillOptions{})
		require.NoError(t, err)
	}
	for _, id := range all {
		h.start(t, id)
	}
	for _, id := range all {
		h.awaitHealth(t, service, id)
	}
}

// restart stops a container as a deployment does, and waits until it is back.
func (h host) restart(t *testing.T, service, id string) {
	t.Helper()
	_, err := h.docker.ContainerStop(t.Context(), id, client.ContainerStopOptions{})
	require.NoError(t, err)
	stopped, err := h.docker.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
	require.NoError(t, err)
	require.Zero(t, stopped.Container.State.ExitCode, "%s did not stop by itself", service)
	h.start(t, id)
	h.awaitHealth(t, service, id)
}

func (h host) start(t *testing.T, id string) {
	t.Helper()
	_, err := h.docker.ContainerStart(t.Context(), id, client.ContainerStartOptions{})
	require.NoError(t, err)
}

// awaitHealth waits until a container is healthy; one that cannot say so has to run.
func (h host) awaitHealth(t *testing.T, service, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		now, err := h.docker.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
		if err != nil {
			return false
		}
		state := now.Container.State
		return state.Running && (state.Health == nil || state.Health.Status == container.Healthy)
	}, 3*time.Minute, 100*time.Millisecond, "%s does not become healthy", service)
}

// cut takes a service off the network of the databases, and returns how to put it back.
func (h host) cut(t *testing.T, service string) (mend func()) {
	t.Helper()
	network := h.project + "_database"
	all := h.replicas(t, service)
	for _, id := range all {
		_, err := h.docker.NetworkDisconnect(t.Context(), network, client.NetworkDisconnectOptions{Container: id})
		require.NoError(t, err)
	}
	return func() {
		for _, id := range all {
			_, err := h.docker.NetworkConnect(t.Context(), network, client.NetworkConnectOptions{Container: id})
			require.NoError(t, err)
		}
	}
}
