package pgtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func notes(text string) postgres.Migrations {
	sql := "-- +goose Up\ncreate table note(text text not null);\ninsert into note values ('" + text + "');\n"
	return postgres.Migrations{Name: "notes", FS: fstest.MapFS{"migrations/00001_notes.sql": {Data: []byte(sql)}}}
}

func TestParallelTestsSeeOnlyTheirOwnData(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t, notes("first"))
			_, err := pool.Exec(t.Context(), "insert into note values ($1)", fmt.Sprint(n))
			require.NoError(t, err)

			rows, err := pool.Query(t.Context(), "select text from note order by text desc")
			require.NoError(t, err)
			texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.Equal(t, []string{"first", fmt.Sprint(n)}, texts)
		})
	}
}

func TestOtherMigrationsGetAnotherTemplate(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"one", "other"} {
		var got string
		require.NoError(t, pgtest.New(t, notes(text)).QueryRow(t.Context(), "select text from note").Scan(&got))
		require.Equal(t, text, got)
	}
}

func TestDatabaseIsDroppedWhenItsTestEnds(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("a test", func(t *testing.T) {
		require.NoError(t, pgtest.New(t, notes("x")).QueryRow(t.Context(), "select current_database()").Scan(&name))
	})
	var left int
	err := pgtest.New(t).QueryRow(t.Context(), "select count(*) from pg_database where datname = $1", name).Scan(&left)
	require.NoError(t, err)
	require.NotEmpty(t, name)
	require.Zero(t, left)
}

// childEnv makes this test binary play a test process that somebody kills.
const childEnv = "ORDERFLOW_PGTEST_CHILD"

func TestNothingIsLeftBehindByATestProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	// Not t.TempDir, whose path is too long for a socket.
	dir, err := os.MkdirTemp("", "killed-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	// The server runs as another user, who must be able to reach and remove its folder.
	require.NoError(t, os.Chmod(dir, 0o777))
	exe, err := os.Executable()
	require.NoError(t, err)
	ready := filepath.Join(dir, "ready")
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestPlayingTheProcessThatIsKilled$")
	cmd.Env = append(os.Environ(), childEnv+"="+ready, "TMPDIR="+dir, "TEST_DATABASE_URL=")
	require.NoError(t, cmd.Start())

	require.Eventually(t, func() bool {
		_, err := os.Stat(ready)
		return err == nil
	}, 30*time.Second, 10*time.Millisecond, "the child has a database")
	pid := postmaster(t, dir)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	require.Eventually(t, func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, "orderflow-pgtest-*"))
		return len(left) == 0 && syscall.Kill(pid, 0) != nil
	}, 30*time.Second, 10*time.Millisecond, "neither its server nor its files are left")
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

func TestPlayingTheProcessThatIsKilled(t *testing.T) {
	t.Parallel()
	ready := os.Getenv(childEnv)
	if ready == "" {
		return // only as a child of the test above
	}
	pgtest.New(t, notes("x"))
	require.NoError(t, os.WriteFile(ready, nil, 0o600))
	select {} // until killed
}
