package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// Installation is a directory with the server's programs.
type Installation struct{ Bin string }

func (i Installation) program(name string) string { return filepath.Join(i.Bin, name) }

// ErrNotInstalled says what to do when no PostgreSQL was found and none may be installed.
var ErrNotInstalled = errors.New("PostgreSQL is needed: install its server (Debian and Ubuntu: " +
	"apt install postgresql, Fedora: dnf install postgresql-server postgresql-contrib, macOS: brew install postgresql) " +
	"or set DATABASE_URL to the admin URL of a running one")

// Finder looks for an installation; its fields are the places to look.
type Finder struct {
	// Path has the form of $PATH.
	Path string
	// Globs are patterns of directories, for the distributions that keep the server off the path.
	Globs []string
	// AptGet is the package manager to install with, or empty when it may not be used.
	AptGet string
	// Etc is where the configuration of packages lives.
	Etc string
}

// SystemFinder looks where PostgreSQL is usually installed, and may install it if run by root on Debian.
func SystemFinder() Finder {
	f := Finder{
		Path: os.Getenv("PATH"),
		Globs: []string{
			"/usr/lib/postgresql/*/bin",
			"/usr/pgsql-*/bin",
			"/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin",
		},
		Etc: "/etc",
	}
	if os.Geteuid() == 0 {
		f.AptGet, _ = exec.LookPath("apt-get")
	}
	return f
}

// Find returns the newest installation, or ErrNotInstalled.
func (f Finder) Find() (Installation, error) {
	for _, dir := range filepath.SplitList(f.Path) {
		if complete(dir) {
			return Installation{Bin: dir}, nil
		}
	}
	for _, glob := range f.Globs {
		dirs, _ := filepath.Glob(glob)
		slices.SortFunc(dirs, compareVersions)
		for _, dir := range slices.Backward(dirs) {
			if complete(dir) {
				return Installation{Bin: dir}, nil
			}
		}
	}
	return Installation{}, ErrNotInstalled
}

// FindOrInstall finds an installation or, where it may, installs Debian's package, whose progress it
// shows on out.
func (f Finder) FindOrInstall(ctx context.Context, out io.Writer) (Installation, error) {
	found, err := f.Find()
	if err == nil || f.AptGet == "" {
		return found, err
	}
	if err := f.install(ctx, out); err != nil {
		return Installation{}, fmt.Errorf("install PostgreSQL: %w; install it yourself or set DATABASE_URL", err)
	}
	return f.Find()
}

func (f Finder) install(ctx context.Context, out io.Writer) error {
	// The package would create and start a cluster for the whole system, which nobody asked for. The
	// drop-in prevents that and is removed again, so that the administrator's own clusters are not affected.
	dir := filepath.Join(f.Etc, "postgresql-common", "createcluster.d")
	dropIn := filepath.Join(dir, "orderflow-devstack.conf")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // Packages' configuration is public.
		return err
	}
	//nolint:gosec // Packages' configuration is public.
	if err := os.WriteFile(dropIn, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return err
	}
	defer func() { _ = os.Remove(dropIn) }()

	for _, args := range [][]string{
		{"update"},
		{"install", "--yes", "--no-install-recommends", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, f.AptGet, args...) //nolint:gosec // The arguments are fixed.
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}

// complete tells a server's directory from one that has only the client programs.
func complete(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// compareVersions orders paths by the numbers in them, so that 9 comes before 16.
func compareVersions(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(path string) []int {
	var found []int
	for _, field := range strings.FieldsFunc(path, func(r rune) bool { return !unicode.IsDigit(r) }) {
		var n int
		if _, err := fmt.Sscan(field, &n); err == nil {
			found = append(found, n)
		}
	}
	return found
}
