// Package postgres runs a PostgreSQL cluster of its own and gives each service a database that no other
// service's role can open. It does not know the services' tables.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orderflow/orderflow/devstack/internal/supervise"
)

// Superuser is the role devstack itself uses in a cluster of its own.
const Superuser = "devstack"

// maxSocketPath is what fits into a socket address, with room for the file's own name.
const maxSocketPath = 85

// Cluster is a PostgreSQL data directory and the way to run a server on it.
type Cluster struct {
	Installation Installation
	// Dir holds the data directory, the sockets and the log.
	Dir      string
	Port     int
	Password string // of Superuser
	// Settings are added to, or replace, the server's settings.
	Settings map[string]string

	credential *syscall.Credential
}

func (c *Cluster) data() string    { return filepath.Join(c.Dir, "data") }
func (c *Cluster) sockets() string { return filepath.Join(c.Dir, "run") }

// AdminURL opens a database as Superuser.
func (c *Cluster) AdminURL(database string) string {
	return (&url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(Superuser, c.Password),
		Host:     "127.0.0.1:" + strconv.Itoa(c.Port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}).String()
}

// Prepare creates the data directory if there is none, and ends a server that a killed devstack has
// left on it.
func (c *Cluster) Prepare(ctx context.Context) error {
	if err := c.chooseUser(); err != nil {
		return err
	}
	if err := c.makeDirs(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.data(), "PG_VERSION")); err == nil {
		return c.checkVersion(ctx)
	}
	// initdb that was killed half way leaves a directory it refuses to use again.
	if err := os.RemoveAll(c.data()); err != nil {
		return err
	}
	err := c.initdb(ctx, "C.UTF-8")
	if err != nil {
		err = c.initdb(ctx, "C") // not every system has C.UTF-8
	}
	return err
}

// chooseUser finds an unprivileged user when devstack runs as root, as whom PostgreSQL refuses to run.
func (c *Cluster) chooseUser() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr != nil || gidErr != nil {
			continue
		}
		c.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return nil
	}
	return errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

func (c *Cluster) makeDirs() error {
	for _, dir := range []string{c.Dir, c.sockets()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if c.credential == nil {
			continue
		}
		if err := os.Chown(dir, int(c.credential.Uid), int(c.credential.Gid)); err != nil {
			return err
		}
	}
	if c.credential == nil {
		return nil
	}
	return c.makeReachable()
}

// makeReachable checks that the unprivileged user can enter the directory. Below the system's temporary
// directory, where tests make private directories, it opens the way itself.
func (c *Cluster) makeReachable() error {
	temporary := filepath.Clean(os.TempDir()) + string(filepath.Separator)
	for dir := filepath.Dir(c.Dir); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 != 0 {
			continue
		}
		if !strings.HasPrefix(dir, temporary) {
			return fmt.Errorf("PostgreSQL must run as an unprivileged user, who cannot enter %s: "+
				"choose another --data directory", dir)
		}
		if err := os.Chmod(dir, info.Mode().Perm()|0o011); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) initdb(ctx context.Context, locale string) error {
	password := filepath.Join(c.Dir, "password")
	if err := os.WriteFile(password, []byte(c.Password+"\n"), 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(password) }()
	if c.credential != nil {
		if err := os.Chown(password, int(c.credential.Uid), int(c.credential.Gid)); err != nil {
			return err
		}
	}
	out, err := c.run(ctx, "initdb", "--pgdata", c.data(), "--username", Superuser, "--pwfile", password,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", locale)
	if err != nil {
		return fmt.Errorf("create the PostgreSQL data directory: %w: %s", err, out)
	}
	return nil
}

func (c *Cluster) run(ctx context.Context, program string, args ...string) (string, error) {
	//nolint:gosec // The programs are those of the installation that was found.
	cmd := exec.CommandContext(ctx, c.Installation.program(program), args...)
	cmd.Dir = c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// checkVersion turns a new major version's refusal to read old data into a sentence with a way out.
func (c *Cluster) checkVersion(ctx context.Context) error {
	data, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil {
		return err
	}
	of := strings.TrimSpace(string(data))
	program, err := c.run(ctx, "postgres", "--version")
	if err != nil {
		return fmt.Errorf("ask PostgreSQL for its version: %w: %s", err, program)
	}
	if fields := strings.Fields(program); len(fields) >= 3 && strings.SplitN(fields[2], ".", 2)[0] != of {
		return fmt.Errorf("the data in %s is of PostgreSQL %s but the one installed is %s: "+
			"install version %s, or start afresh with: devstack clean", c.data(), of, fields[2], of)
	}
	return nil
}

// Spec describes the server process.
func (c *Cluster) Spec(out *supervise.Output) supervise.Spec {
	sockets := c.sockets()
	if len(sockets) > maxSocketPath {
		sockets = "" // nothing needs them; everything connects over TCP
	}
	settings := map[string]string{ //nolint:gosec // There is only the name of a setting.
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(c.Port),
		"unix_socket_directories": sockets,
		"max_connections":         "300",
		"shared_buffers":          "256MB",
		"password_encryption":     "scram-sha-256",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		// Surviving a crash of the machine is part of the product, so also here.
		"fsync": "on",
	}
	maps.Copy(settings, c.Settings)
	args := []string{"-D", c.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return supervise.Spec{
		Name:         "postgres",
		Path:         c.Installation.program("postgres"),
		Args:         args,
		Dir:          c.Dir,
		Env:          []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"},
		Credential:   c.credential,
		StopSignal:   syscall.SIGINT, // fast: ends sessions, writes a checkpoint
		StopTimeout:  30 * time.Second,
		KillSignal:   syscall.SIGQUIT, // immediate: SIGKILL would leave the backends to find out themselves
		OrphanSignal: syscall.SIGINT,
		Output:       out,
		Ready:        func(ctx context.Context) error { return Ping(ctx, c.AdminURL("postgres")) },
	}
}

// Ping opens a connection and closes it.
func Ping(ctx context.Context, databaseURL string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
