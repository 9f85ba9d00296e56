package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing/fstest"
)

// repository reads what Git keeps. It touches neither the working tree nor the index.
type repository struct{ root string }

// resolve returns the commit that ref names.
func (r repository) resolve(ctx context.Context, ref string) (string, error) {
	commit, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", r.unknown(ctx, ref)
	}
	return strings.TrimSpace(commit), nil
}

// at returns the files that hold contracts as they are at a commit.
func (r repository) at(ctx context.Context, commit string) (fstest.MapFS, error) {
	archive, err := r.git(ctx, "archive", "--format=tar", commit)
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	for tr := tar.NewReader(strings.NewReader(archive)); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s from Git: %w", commit, err)
		}
		if path.Base(header.Name) != "openapi.yaml" && path.Base(path.Dir(header.Name)) != "testdata" {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return nil, fmt.Errorf("read %s from Git: %w", commit, err)
		}
		files[header.Name] = &fstest.MapFile{Data: data}
	}
}

// unknown says why ref is not there.
func (r repository) unknown(ctx context.Context, ref string) error {
	shallow, err := r.git(ctx, "rev-parse", "--is-shallow-repository")
	switch {
	case err != nil:
		return err
	case strings.TrimSpace(shallow) == "true":
		return fmt.Errorf("%q is not in this shallow clone: run git fetch --unshallow, or name another BASE", ref)
	default:
		return fmt.Errorf("%q is no commit of this repository: name another BASE", ref)
	}
}

// has reports whether a directory is there at a commit.
func (r repository) has(ctx context.Context, commit, dir string) (bool, error) {
	found, err := r.git(ctx, "ls-tree", commit, dir)
	return found != "", err
}

// firstOf returns the first commit after base that has the file, or "".
func (r repository) firstOf(ctx context.Context, base, file string) (string, error) {
	commits, err := r.git(ctx, "log", "--diff-filter=A", "--format=%H", base+"..HEAD", "--", file)
	if err != nil {
		return "", err
	}
	lines := strings.Fields(commits)
	if len(lines) == 0 {
		return "", nil
	}
	return lines[len(lines)-1], nil
}

// sameContract reports whether the code that declares the contract in dir is the same in both commits.
func (r repository) sameContract(ctx context.Context, a, b, dir string) (bool, error) {
	args := []string{"diff", "--name-only", a, b, "--", ":(exclude)*_test.go", ":(glob)pkg/money/*.go"}
	if strings.HasPrefix(dir, "services/") {
		args = append(args, ":(glob)"+dir+"/*.go")
	} else { // The saga's is made of the services' too.
		args = append(args, ":(glob)"+dir+"/*.go", ":(glob)services/*/*.go")
	}
	changed, err := r.git(ctx, args...)
	return changed == "", err
}

func (r repository) git(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	//nolint:gosec // The command is git, and only rev-parse sees what the user named.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", r.root}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		why, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, why)
	}
	return string(out), nil
}

// union returns the paths that match a pattern in either tree.
func union(a, b fs.FS, patterns ...string) ([]string, error) {
	var all []string
	for _, tree := range []fs.FS{a, b} {
		for _, pattern := range patterns {
			paths, err := fs.Glob(tree, pattern)
			if err != nil {
				return nil, err
			}
			all = append(all, paths...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// read returns a file, or nil where there is none.
func read(tree fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
