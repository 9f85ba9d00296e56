package service

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
)

// version and commit are set by the linker when an image is built, where Git's own record is not at hand.
var version, commit string

// Version returns the release that this program is of, "dev" between releases, and the commit that it was built from,
// "unknown" where it was built from no repository.
func Version() (release, revision string) {
	revision = commit
	if info, ok := debug.ReadBuildInfo(); ok && revision == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return cmp.Or(version, "dev"), cmp.Or(revision, "unknown")
}

func printVersion(_ context.Context, name string, out io.Writer) error {
	release, revision := Version()
	_, err := fmt.Fprintf(out, "%s %s (%s)\n", name, release, revision)
	return err
}
