package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/orderflow/orderflow/devstack/internal/postgres"
)

// What devstack keeps in its data directory.
const (
	lockFile    = "lock"
	secretsFile = "secrets.json"
	portsFile   = "ports.json"
	stateFile   = "state.json"
	binDir      = "bin"
	logDir      = "log"
	natsDir     = "nats"
	postgresDir = "postgres"
	tracesDir   = "traces"
)

// findRoot returns the repository: the given directory, or the closest one upwards with a go.work.
func findRoot(given string) (string, error) {
	start := given
	if start == "" {
		start = "."
	}
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	if given != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("the repository root %s is not a directory", dir)
		}
		return dir, nil
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.work here or in any directory above: start in the repository or name it with --root")
		}
		dir = parent
	}
}

// dataDir returns the given directory or the default one. The default has a hash of the repository's
// path in its name, so that two clones do not share data.
func dataDir(given, root string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	hash := sha256.Sum256([]byte(root))
	name := filepath.Base(root) + "-" + hex.EncodeToString(hash[:4])
	if os.Geteuid() == 0 {
		// PostgreSQL will run as an unprivileged user, who cannot enter root's home.
		return filepath.Join("/var/lib/orderflow-devstack", name), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the data: %w; name one with --data", err)
	}
	return filepath.Join(cache, "orderflow", "devstack", name), nil
}

// whereData finds the data directory without needing a repository when the directory is given.
func whereData(o Options) (string, error) {
	if o.Data != "" {
		return dataDir(o.Data, "")
	}
	root, err := findRoot(o.Root)
	if err != nil {
		return "", err
	}
	return dataDir("", root)
}

// Traces returns the directory of the spans that the stack of a repository has made.
func Traces(o Options) (string, error) {
	data, err := whereData(o)
	return filepath.Join(data, tracesDir), err
}

// Clean removes the data of the stack of a repository. It refuses while the stack runs, and removes only
// what devstack has made.
func Clean(ctx context.Context, o Options) (string, error) {
	data, err := whereData(o)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(data, lockFile)); errors.Is(err, os.ErrNotExist) {
		return data, nil
	}
	held, err := lock(data)
	if err != nil {
		return "", err
	}
	defer func() { _ = held.Close() }()
	cluster := postgres.Cluster{Dir: filepath.Join(data, postgresDir)}
	if err := cluster.StopLeftover(ctx); err != nil {
		return "", err
	}
	for _, name := range []string{
		binDir, logDir, natsDir, postgresDir, tracesDir, portsFile, secretsFile, stateFile,
		lockFile,
	} {
		if err := os.RemoveAll(filepath.Join(data, name)); err != nil {
			return "", err
		}
	}
	_ = os.Remove(data) // fails when something else is in it, which is not ours to remove
	return data, nil
}
