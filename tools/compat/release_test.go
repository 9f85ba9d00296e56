package main

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatTheReleaseCalledDeprecatedMayGo(t *testing.T) {
	t.Parallel()
	root := released(t,
		edit{paymentsList, `"failures": {`, `"deprecated": ["payments/Capture"], "failures": {`},
		edit{paymentsAPI, "      operationId: getFraudSettings", "      operationId: getFraudSettings\n      deprecated: true"})
	apply(t, root, edit{paymentsList, `"payments/Capture": {`, `"payments/Take": {`})
	apply(t, root, edit{paymentsAPI, `    get:
      operationId: getFraudSettings`, `    head:
      operationId: getFraudSettings`})
	code, out := runIn(t, root, "HEAD")
	require.Contains(t, out, "changed  payments/Capture: the activity was removed, as the release announced\n")
	require.Contains(t, out, "changed  payments GET /v1/fraud/settings: api removed with deprecation\n")
	require.Equal(t, compatible, code, out)
}

func TestAReleaseFromBeforeTheListIsComparedWithTheFirstList(t *testing.T) {
	t.Parallel()
	root := released(t, edit{file: paymentsList})
	copyFile(t, root, paymentsList)
	commit(t, root)
	apply(t, root, edit{paymentsList, `payments/Capture`, `payments/Take`})
	commit(t, root)

	code, out := runIn(t, root, "HEAD~2")
	require.Contains(t, out, "BREAKS  payments/Capture: the activity was removed")
	require.Equal(t, breaking, code)
}

func TestAReleaseOfOtherCodeThanTheFirstListIsNotCompared(t *testing.T) {
	t.Parallel()
	root := released(t, edit{file: paymentsList})
	copyFile(t, root, paymentsList)
	require.NoError(t, os.WriteFile(filepath.Join(root, "services/payments/payments.go"), []byte("package payments"), 0o600))
	commit(t, root)

	code, out := runIn(t, root, "HEAD~1")
	require.Contains(t, out, "not compared  services/payments: the release has no testdata/contract.json, "+
		"and its code is not that of the first one\n")
	require.Contains(t, out, "9 contracts of the working tree are compatible with HEAD~1.\n")
	require.Equal(t, compatible, code)
}

func TestWhatCannotBeComparedSaysWhyInOneLine(t *testing.T) {
	t.Parallel()
	root := released(t)

	shallow := t.TempDir()
	apply(t, root, edit{paymentsList, `"30s"`, `"31s"`})
	commit(t, root)
	git(t, root, "clone", "--quiet", "--depth=1", "file://"+root, shallow)

	broken := released(t)
	apply(t, broken, edit{sagaDir + "/testdata/input.json", `{`, ``})
	incomplete := released(t)
	apply(t, incomplete, edit{file: sagaDir + "/testdata/input.json"})

	for name, c := range map[string]struct{ root, base, says string }{
		"unknown commit": {root, "nosuch", "compat: \"nosuch\" is no commit of this repository: name another BASE\n"},
		"no commit":      {root, "", "compat: \"\" is no commit of this repository: name another BASE\n"},
		"an option":      {root, "--help", "compat: \"--help\" is no commit of this repository: name another BASE\n"},
		"shallow clone": {
			shallow, git(t, root, "rev-parse", "HEAD~1"), " is not in this shallow clone: run git fetch --unshallow, or name another BASE\n",
		},
		"no repository": {t.TempDir(), "HEAD", "not a git repository"},
		"no JSON":       {broken, "HEAD", "compat: " + sagaDir + "/testdata/input.json: "},
		"no wire type":  {incomplete, "HEAD", "compat: " + sagaDir + ": contract.json names input, which has no golden file\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out := runIn(t, c.root, c.base)
			require.Contains(t, out, c.says)
			require.Equal(t, 1, strings.Count(out, "\n"), out)
			require.Equal(t, notCompared, code)
		})
	}
}

// compareAfter compares a copy of the repository release, edited, with its commit.
func compareAfter(t *testing.T, release string, e edit) (code int, out string) {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS(release)))
	apply(t, root, e)
	return runIn(t, root, "HEAD")
}

func runIn(t *testing.T, root, base string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = run(t.Context(), []string{"-root", root, "-base", base}, &b, &b)
	return code, b.String()
}

// released returns a repository with a commit of this repository's contracts, edited.
func released(t *testing.T, edits ...edit) (root string) {
	t.Helper()
	root = t.TempDir()
	project := os.DirFS("../..")
	files, err := union(project, project, "*/openapi.yaml", "services/*/openapi.yaml", "services/*/testdata/*.json",
		"*/internal/*/testdata/*.json", "services/*/*.go", sagaDir+"/*.go")
	require.NoError(t, err)
	for _, file := range files {
		copyFile(t, root, file)
	}
	for _, e := range edits {
		apply(t, root, e)
	}
	git(t, root, "init", "--quiet", "--template=")
	commit(t, root)
	return root
}

func copyFile(t *testing.T, root, file string) {
	t.Helper()
	data, err := fs.ReadFile(os.DirFS("../.."), file)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(root, path.Dir(file)), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(root, file), data, 0o600))
}

func apply(t *testing.T, root string, e edit) {
	t.Helper()
	name := filepath.Join(root, e.file)
	if e.old == "" && e.new == "" {
		require.NoError(t, os.Remove(name))
		return
	}
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(data), e.old)
	require.NoError(t, os.WriteFile(name, []byte(strings.ReplaceAll(string(data), e.old, e.new)), 0o600))
}

func commit(t *testing.T, root string) {
	t.Helper()
	git(t, root, "add", "--all")
	git(t, root, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "a release")
}

func git(t *testing.T, root string, args ...string) string {
	t.Helper()
	out, err := repository{root: root}.git(t.Context(), args...)
	require.NoError(t, err)
	return strings.TrimSpace(out)
}
