package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

var errNotInstalled = errors.New("PostgreSQL was not found: install it (Debian: apt-get install postgresql), " +
	"or set TEST_DATABASE_URL to a server where databases may be created")

// server is the one server of this test process. Starting one per test would take a second each.
var server = sync.OnceValues(func() (*instance, error) {
	if dsn := os.Getenv("TEST_DATABASE_URL"); dsn != "" {
		return &instance{dsn: dsn, external: true, templates: map[string]struct{}{}}, nil
	}
	return start()
})

// keeper runs the server for as long as its standard input is open. The other end belongs to the test process alone, so
// the kernel closes it however that process ends: normally, by a panic, by a time-out, or killed. Nothing is left.
//
// $1 is PostgreSQL's folder of binaries, $2 the folder that holds everything.
const keeper = `
if "$1/initdb" -D "$2/data" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C --no-instructions
then
	"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=400 -c shared_buffers=64MB \
		-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 \
		</dev/null &
	server=$!
else
	touch "$2/failed"
fi >"$2/log" 2>&1
cat >/dev/null
if [ -n "$server" ]; then
	kill -QUIT "$server"
	wait "$server"
fi
cd / && rm -rf "$2"
`

// start starts a server that only this process and its children use.
func start() (*instance, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parentDir(), "orderflow-pgtest-")
	if err != nil {
		return nil, err
	}
	attr := &syscall.SysProcAttr{
		// Ctrl-C goes to the whole group of the test process; the keeper must live on to clean up.
		Setpgid: true,
	}
	if os.Geteuid() == 0 {
		// PostgreSQL refuses to run as root.
		if attr.Credential, err = unprivileged(); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return nil, err
		}
	}
	stdin, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	//nolint:gosec // both folders were found above
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", keeper, "keeper", bin, dir)
	cmd.Dir, cmd.Stdin, cmd.SysProcAttr = dir, stdin, attr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	_ = stdin.Close()

	address := url.URL{Scheme: "postgres", Path: "/postgres"}
	address.RawQuery = url.Values{"host": {dir}, "user": {"postgres"}, "sslmode": {"disable"}}.Encode()
	return &instance{
		dsn: address.String(), keeper: input, templates: map[string]struct{}{},
	}, waitUntilReady(address.String(), dir)
}

// parentDir returns the folder for temporary files, unless a socket's address, which has about 100 bytes, would not
// hold a path in it.
func parentDir() string {
	if dir := os.TempDir(); len(dir) < 60 {
		return dir
	}
	return "/tmp"
}

func waitUntilReady(dsn, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn.Close(ctx)
		}
		_, failed := os.Stat(filepath.Join(dir, "failed"))
		if failed == nil || ctx.Err() != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "log")) //nolint:gosec // the folder was made above
			return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// findBinaries returns the folder that holds initdb and postgres.
func findBinaries() (string, error) {
	var candidates []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// Distributions link single programs into the PATH; initdb lies beside the real one.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		for i := range found {
			// The newest first: within a pattern, the names end in the version.
			candidates = append(candidates, found[len(found)-1-i])
		}
	}
	for _, dir := range candidates {
		if isFile(filepath.Join(dir, "initdb")) && isFile(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errNotInstalled
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// unprivileged returns the identity that a server started by root runs with.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")
}
