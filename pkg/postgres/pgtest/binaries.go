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
	"syscall"
)

var errNotInstalled = errors.New("the programs initdb and postgres are not installed " +
	"(Debian: apt-get install postgresql)")

// keeper runs the server for as long as its standard input is open. The other end belongs to the test process alone, so
// the kernel closes it however that process ends: normally, by a panic, by a time-out, or killed. Nothing is left.
//
// $1 is PostgreSQL's folder of binaries, $2 the folder that holds everything, what follows goes to the server.
const keeper = `
bin=$1 dir=$2
shift 2
if "$bin/initdb" -D "$dir/data" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C --no-instructions
then
	"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=400 "$@" </dev/null &
	server=$!
else
	touch "$dir/failed"
fi >"$dir/log" 2>&1
cat >/dev/null
if [ -n "$server" ]; then
	kill -QUIT "$server"
	wait "$server"
fi
cd / && rm -rf "$dir"
`

// startBinaries starts a server that only this process and its children use.
func startBinaries() (*instance, error) {
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
	cmd.Args = append(cmd.Args, settings...)
	cmd.Dir, cmd.Stdin, cmd.SysProcAttr = dir, stdin, attr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	_ = stdin.Close()

	address := url.URL{Scheme: "postgres", Path: "/postgres"}
	address.RawQuery = url.Values{"host": {dir}, "user": {"postgres"}, "sslmode": {"disable"}}.Encode()
	conn, err := connect(context.Background(), address.String(), func() error {
		if !isFile(filepath.Join(dir, "failed")) {
			return nil
		}
		log, _ := os.ReadFile(filepath.Join(dir, "log")) //nolint:gosec // the folder was made above
		return fmt.Errorf("PostgreSQL did not start: %s", log)
	})
	if err != nil {
		return nil, err
	}
	if err := conn.Close(context.Background()); err != nil {
		return nil, err
	}
	return &instance{dsn: address.String(), lifeline: input, templates: map[string]struct{}{}}, nil
}

// parentDir returns the folder for temporary files, unless a socket's address, which has about 100 bytes, would not
// hold a path in it.
func parentDir() string {
	if dir := os.TempDir(); len(dir) < 60 {
		return dir
	}
	return "/tmp"
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
