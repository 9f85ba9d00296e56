package migrationtest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/postgres"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
)

// testRelease finds the statements in the code of the release before by asking PostgreSQL: a string is one if it can be
// prepared on the schema of that release. Then it must be possible on the schema of this one.
func (s Suite) testRelease(t *testing.T) {
	t.Helper()
	released := readRelease(t, s.Folders)
	before := connect(t, released.migrations(t)...)
	now := connect(t, s.Sets...)
	prepared := 0
	for _, text := range released.strings(t) {
		if _, err := before.Prepare(t.Context(), "", text); err != nil {
			continue // No statement, or one on a table that it creates itself.
		}
		prepared++
		_, err := now.Prepare(t.Context(), "", text)
		require.NoError(t, err, "the release before executes this, and this schema does not let it:\n%s", text)
	}
	require.NotZero(t, prepared, "no statement was found in %v", s.Folders)
	t.Logf("%d statements of the release before", prepared)
}

func connect(t *testing.T, sets ...postgres.Migrations) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.DSN(t, sets...))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	return conn
}

// release holds files of the release before, by their path from the root.
type release fstest.MapFS

// readRelease reads folders at the commit that the file RELEASE at the root of the repository names.
func readRelease(t *testing.T, folders []string) release {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for !exists(filepath.Join(dir, "RELEASE")) {
		require.NotEqual(t, "/", dir, "no file RELEASE above the test")
		dir = filepath.Dir(dir)
	}
	commit, err := os.ReadFile(filepath.Join(dir, "RELEASE")) //nolint:gosec // Found above.
	require.NoError(t, err)
	args := append([]string{"-C", dir, "archive", "--format=tar", strings.TrimSpace(string(commit)), "--"}, folders...)
	var problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // The folders are the test's.
	cmd.Stderr = &problems
	archive, err := cmd.Output()
	require.NoError(t, err, "the commit in RELEASE must be in the clone (git fetch --unshallow): %s", &problems)

	files := release{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		if header.Typeflag == tar.TypeReg {
			files[header.Name] = &fstest.MapFile{Data: content}
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// migration returns the content of a migration of the release, by its path in its set.
func (r release) migration(file string) ([]byte, bool) {
	for name, f := range r {
		if strings.HasSuffix(name, "/"+file) {
			return f.Data, true
		}
	}
	return nil, false
}

// migrations returns all sets of the release, each named by its folder.
func (r release) migrations(t *testing.T) (sets []postgres.Migrations) {
	t.Helper()
	folders := map[string]bool{}
	for name := range r {
		if dir := path.Dir(name); path.Base(dir) == "migrations" {
			folders[path.Dir(dir)] = true
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		files, err := fs.Sub(fstest.MapFS(r), folder)
		require.NoError(t, err)
		sets = append(sets, postgres.Migrations{Name: strings.ReplaceAll(folder, "/", "_"), FS: files})
	}
	return sets
}

// strings returns every string constant of the release's code, without its tests.
func (r release) strings(t *testing.T) (texts []string) {
	t.Helper()
	for name, f := range r {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, f.Data, 0)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				if strings.Contains(text, " ") { // No statement is one word.
					texts = append(texts, text)
				}
			}
			return true
		})
	}
	return texts
}
