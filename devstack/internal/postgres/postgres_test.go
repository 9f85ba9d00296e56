package postgres

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/devstack/internal/supervise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newCluster prepares a cluster in a directory of the test. Tests must not lose time to the disk.
func newCluster(t *testing.T) *Cluster {
	t.Helper()
	installation, err := SystemFinder().Find()
	require.NoError(t, err, "these tests need a PostgreSQL installation")
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	c := &Cluster{
		Installation: installation,
		Dir:          filepath.Join(t.TempDir(), "postgres"),
		Port:         l.Addr().(*net.TCPAddr).Port,
		Password:     "p@ss/w:rd",
		Settings:     map[string]string{"fsync": "off", "shared_buffers": "16MB"},
	}
	require.NoError(t, l.Close())
	require.NoError(t, c.Prepare(t.Context()))
	return c
}

func (c *Cluster) serve(t *testing.T) *supervise.Process {
	t.Helper()
	group := supervise.NewGroup(func() {}, t.Logf)
	t.Cleanup(func() {
		group.Stop()
		group.Close()
	})
	p, err := group.Start(c.Spec(supervise.NewOutput(func(string) {})))
	require.NoError(t, err)
	require.NoError(t, p.WaitReady(t.Context(), time.Minute))
	return p
}

func query(t *testing.T, databaseURL, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var answer string
	require.NoError(t, conn.QueryRow(t.Context(), statement).Scan(&answer))
	return answer
}

func execute(t *testing.T, databaseURL, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), statement)
	require.NoError(t, err)
}

func TestDataSurvivesAKilledServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.serve(t)
	admin := c.AdminURL("postgres")
	execute(t, admin, "CREATE TABLE promise AS SELECT 'kept'::text AS word")

	before := p.Status().PID
	require.NoError(t, syscall.Kill(before, syscall.SIGKILL))
	require.Eventually(t, func() bool { return p.Status().Restarts > 0 && Ping(t.Context(), admin) == nil },
		time.Minute, 50*time.Millisecond, "the supervisor must bring it back in spite of the stale lock file")
	require.Equal(t, "kept", query(t, admin, "SELECT word FROM promise"))

	p.Stop()
	require.NoError(t, c.Prepare(t.Context()), "preparing again must not touch the data")
	c.serve(t)
	require.Equal(t, "kept", query(t, admin, "SELECT word FROM promise"))
}

func TestServerListensOnLoopbackOnlyAndIsDurableByDefault(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.Settings = map[string]string{"shared_buffers": "16MB"}
	c.serve(t)
	for setting, value := range map[string]string{
		"listen_addresses": "127.0.0.1", "fsync": "on", "max_connections": "300", "server_encoding": "UTF8",
		"shared_buffers": "16MB", "password_encryption": "scram-sha-256",
	} {
		require.Equal(t, value, query(t, c.AdminURL("postgres"), "SHOW "+setting), setting)
	}
}

func TestALeftOverServerIsStopped(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	spec := c.Spec(nil)
	orphan := exec.Command(spec.Path, spec.Args...)
	orphan.Dir, orphan.Env = spec.Dir, spec.Env
	orphan.SysProcAttr = &syscall.SysProcAttr{Credential: spec.Credential, Setpgid: true}
	require.NoError(t, orphan.Start())
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	require.Eventually(t, func() bool { return spec.Ready(t.Context()) == nil }, time.Minute, 20*time.Millisecond)

	require.NoError(t, c.StopLeftover(t.Context()))
	require.NoError(t, <-ended, "a fast shutdown is a clean one")
	c.serve(t)
}

func TestALockFileThatNamesAnotherProgramIsRemoved(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	lock := filepath.Join(c.data(), "postmaster.pid")
	// The pid of this very test: alive, and no PostgreSQL.
	require.NoError(t, os.WriteFile(lock, []byte(strconv.Itoa(os.Getpid())+"\n"+c.data()+"\n"), 0o600))
	require.NoError(t, c.StopLeftover(t.Context()))
	require.NoFileExists(t, lock)
	require.NoError(t, c.StopLeftover(t.Context()), "nothing to do is no error")
}

func TestDataOfAnotherMajorVersionIsExplained(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	require.NoError(t, os.WriteFile(filepath.Join(c.data(), "PG_VERSION"), []byte("9\n"), 0o600))
	require.ErrorContains(t, c.Prepare(t.Context()), "is of PostgreSQL 9 but the one installed is")
}

func TestAHalfMadeDataDirectoryIsMadeAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	require.NoError(t, os.Remove(filepath.Join(c.data(), "PG_VERSION")))
	require.NoError(t, c.Prepare(t.Context()))
	c.serve(t)
}

func TestARoleOpensOnlyItsOwnDatabase(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.serve(t)
	admin := c.AdminURL("postgres")
	databases := []Database{
		{Name: "orders", Role: "orders", Password: "o'rder%s"},
		{Name: "payments", Role: "payments", Password: "secret"},
		{Name: "temporal", Role: "temporal", Password: "secret"},
	}
	require.NoError(t, Provision(t.Context(), admin, databases, "postgres", "template1"))

	orders, err := databases[0].URL(admin)
	require.NoError(t, err)
	execute(t, orders, "CREATE TABLE promise AS SELECT 'kept'::text AS word")

	for _, name := range []string{"payments", "temporal", "postgres", "template1"} {
		foreign := Database{Name: name, Role: "orders", Password: "o'rder%s"}
		url, err := foreign.URL(admin)
		require.NoError(t, err)
		var refused *pgconn.PgError
		require.ErrorAs(t, Ping(t.Context(), url), &refused, name)
		require.Equal(t, "42501", refused.Code, "insufficient privilege")
	}
	wrong, err := Database{Name: "payments", Role: "payments", Password: "guess"}.URL(admin)
	require.NoError(t, err)
	require.ErrorContains(t, Ping(t.Context(), wrong), "password authentication failed")

	databases[0].Password = "changed"
	require.NoError(t, Provision(t.Context(), admin, databases, "postgres", "template1"), "provisioning again")
	orders, err = databases[0].URL(admin)
	require.NoError(t, err)
	require.Equal(t, "kept", query(t, orders, "SELECT word FROM promise"))
}

func TestAdminURLs(t *testing.T) {
	t.Parallel()
	url, err := Database{Name: "orders", Role: "orders", Password: "a/b"}.URL("postgresql://admin:pw@db.example/postgres?sslmode=require")
	require.NoError(t, err)
	require.Equal(t, "postgresql://orders:a%2Fb@db.example:5432/orders?sslmode=require", url)
	for _, bad := range []string{"host=db user=admin", "mysql://a:b@c/d", "postgres:///postgres", "postgres://%zz"} {
		_, err := ParseAdminURL(bad)
		require.EqualError(t, err, "DATABASE_URL must look like postgres://admin:password@host:port/postgres", bad)
	}
}

func makeInstallation(t *testing.T, dir string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755))
	}
	return dir
}

func TestTheNewestInstallationIsFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	makeInstallation(t, filepath.Join(root, "9", "bin"))
	newest := makeInstallation(t, filepath.Join(root, "16", "bin"))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "17", "bin"), 0o755)) // clients only
	f := Finder{Path: "/nonexistent", Globs: []string{filepath.Join(root, "*", "bin")}}
	found, err := f.Find()
	require.NoError(t, err)
	require.Equal(t, newest, found.Bin)

	f.Path = makeInstallation(t, filepath.Join(t.TempDir(), "mine"))
	found, err = f.Find()
	require.NoError(t, err)
	require.Equal(t, f.Path, found.Bin, "what is on the path was put there on purpose")
}

func TestAMissingInstallationIsOneSentence(t *testing.T) {
	t.Parallel()
	_, err := Finder{Path: t.TempDir()}.FindOrInstall(t.Context(), t.Output())
	require.ErrorIs(t, err, ErrNotInstalled)
	require.NotContains(t, err.Error(), "\n")
}

// The real package manager would change the machine; this one does what it does as far as we rely on it.
//
//nolint:paralleltest // A program cannot be started while a process forked meanwhile still has it open.
func TestInstallingMakesNoClusterOfItsOwn(t *testing.T) {
	root := t.TempDir()
	calls := filepath.Join(root, "calls")
	aptGet := filepath.Join(root, "apt-get")
	script := fmt.Sprintf(`#!/bin/sh
echo "$DEBIAN_FRONTEND $@" >> %[1]s/calls
if [ "$1" = install ]; then
	cat %[1]s/etc/postgresql-common/createcluster.d/*.conf >> %[1]s/calls
	mkdir -p %[1]s/pg/16/bin
	for p in initdb postgres; do echo '#!/bin/sh' > %[1]s/pg/16/bin/$p; chmod +x %[1]s/pg/16/bin/$p; done
fi
`, root)
	require.NoError(t, os.WriteFile(aptGet, []byte(script), 0o755))
	f := Finder{Globs: []string{filepath.Join(root, "pg", "*", "bin")}, AptGet: aptGet, Etc: filepath.Join(root, "etc")}
	found, err := f.FindOrInstall(t.Context(), t.Output())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "pg", "16", "bin"), found.Bin)
	log, err := os.ReadFile(calls)
	require.NoError(t, err)
	require.Equal(t, "noninteractive update\n"+
		"noninteractive install --yes --no-install-recommends postgresql\n"+
		"create_main_cluster = false\n", string(log))
	left, err := filepath.Glob(filepath.Join(root, "etc", "postgresql-common", "createcluster.d", "*"))
	require.NoError(t, err)
	require.Empty(t, left, "the drop-in must not affect the administrator's own clusters later")
}
