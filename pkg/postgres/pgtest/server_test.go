package pgtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"github.com/orderflow/orderflow/pkg/postgres"
)

func TestTheFirstWayToAServerThatWorksIsTaken(t *testing.T) {
	t.Parallel()
	works := func(name string) way {
		return way{name, func() (*instance, error) { return &instance{dsn: name}, nil }}
	}
	fails := func(name string) way {
		return way{name, func() (*instance, error) { return nil, errors.New("no " + name) }}
	}
	for name, test := range map[string]struct {
		dsn            string
		ways           []way
		want, log, err string
	}{
		"the server that is named": {
			dsn: "postgres://named", ways: []way{works("docker"), works("binaries")}, want: "postgres://named",
		},
		"the first way": {
			ways: []way{works("docker"), works("binaries")}, want: "docker",
		},
		"the next way, and why": {
			ways: []way{fails("docker"), works("binaries")}, want: "binaries",
			log: "pgtest: PostgreSQL comes from binaries: no docker\n",
		},
		"no way, and what each misses": {
			ways: []way{fails("docker"), fails("binaries")},
			err:  "there is no PostgreSQL for this test: TEST_DATABASE_URL is not set; no docker; no binaries",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			got, err := choose(test.dsn, &log, test.ways...)
			if test.err != "" {
				require.EqualError(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got.dsn)
			require.Equal(t, test.log, log.String())
		})
	}
}

// Servers are tested by processes that somebody kills, because what they hold must end with them. Such a process is this
// test binary, told by its environment to run only TestPlayingAProcess.
const (
	wayEnv   = "ORDERFLOW_PGTEST_WAY"
	nameEnv  = "ORDERFLOW_PGTEST_NAME"
	readyEnv = "ORDERFLOW_PGTEST_READY"
)

func TestPlayingAProcess(t *testing.T) {
	t.Parallel()
	var i *instance
	var err error
	switch os.Getenv(wayEnv) {
	case "container":
		require.NoError(t, prepareDocker())
		i, err = joinOrStartContainer(os.Getenv(nameEnv), 5*time.Second)
	case "binaries":
		i, err = startBinaries()
	default:
		return // only as a child of the tests below
	}
	require.NoError(t, err)

	sql := "-- +goose Up\ncreate table note(text text not null);\n"
	notes := postgres.Migrations{Name: "note", FS: fstest.MapFS{"migrations/00001_note.sql": {Data: []byte(sql)}}}
	conn, err := pgx.Connect(t.Context(), i.clone(t, []postgres.Migrations{notes}))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "insert into note values ('x')")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))

	ready := os.Getenv(readyEnv)
	require.NoError(t, os.WriteFile(ready+".new", []byte(i.dsn), 0o600))
	require.NoError(t, os.Rename(ready+".new", ready))
	select {} // until killed
}

// play starts that many processes at once, and returns the servers that they use and what kills them.
func play(t *testing.T, processes int, env ...string) (dsns []string, kill func()) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	dsns = make([]string, processes)
	commands, outputs := make([]*exec.Cmd, processes), make([]bytes.Buffer, processes)
	kill = func() {
		for _, cmd := range commands {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for n := range processes {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestPlayingAProcess$")
		cmd.Env = append(append(os.Environ(), env...), readyEnv+"="+filepath.Join(dir, fmt.Sprint(n)))
		cmd.Stdout, cmd.Stderr = &outputs[n], &outputs[n]
		require.NoError(t, cmd.Start())
		commands[n] = cmd
	}
	t.Cleanup(kill)
	for n := range processes {
		if !eventually(func() bool {
			dsn, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(n)))
			dsns[n] = string(dsn)
			return err == nil
		}) {
			kill()
			require.FailNow(t, "the process does not get a database", outputs[n].String())
		}
	}
	return dsns, kill
}

func eventually(condition func() bool) bool {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

func TestProcessesShareAContainerWhichEndsAfterTheyAreKilled(t *testing.T) {
	t.Parallel()
	if err := prepareDocker(); err != nil {
		require.True(t, errors.Is(err, errNoDocker) || errors.Is(err, errNoImage), "%v", err)
		return
	}
	name := "orderflow-pgtest-" + strings.ToLower(rand.Text())
	dsns, kill := play(t, 4, wayEnv+"=container", nameEnv+"="+name)
	for _, dsn := range dsns {
		require.Equal(t, dsns[0], dsn)
	}
	kill()
	require.True(t, eventually(func() bool { return !containerExists(t, name) }), "the container is gone")
}

func containerExists(t *testing.T, name string) bool {
	t.Helper()
	docker, err := testcontainers.NewDockerProvider()
	require.NoError(t, err)
	defer func() { require.NoError(t, docker.Close()) }()
	_, err = docker.Client().ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if !errdefs.IsNotFound(err) {
		require.NoError(t, err)
	}
	return err == nil
}

func TestNothingIsLeftOfAServerWhoseProcessIsKilled(t *testing.T) {
	t.Parallel()
	if _, err := findBinaries(); err != nil {
		require.ErrorIs(t, err, errNotInstalled)
		return
	}
	// Not t.TempDir, whose path is too long for a socket.
	dir, err := os.MkdirTemp("", "killed-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	// The server runs as another user, who must be able to reach and remove its folder.
	require.NoError(t, os.Chmod(dir, 0o777))

	_, kill := play(t, 1, wayEnv+"=binaries", "TMPDIR="+dir)
	pid := postmaster(t, dir)
	kill()
	require.True(t, eventually(func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, "orderflow-pgtest-*"))
		return len(left) == 0 && syscall.Kill(pid, 0) != nil
	}), "neither its server nor its files are left")
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "orderflow-pgtest-*", "data", "postmaster.pid"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscan(strings.SplitN(string(content), "\n", 2)[0], &pid)
	require.NoError(t, err)
	return pid
}
