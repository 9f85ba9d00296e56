// Command compat compares the contracts of the working tree with those of a release: activities, events, failures, the
// saga's names, all their wire types, and the HTTP APIs. It says what a change would break, and for whom.
//
// It exits with 0 where the release and the working tree can run beside each other, 1 where they cannot, and 2 where
// they could not be compared.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
)

const (
	compatible = iota
	breaking
	notCompared
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("compat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	base := flags.String("base", "", "the release to compare with: a commit, a tag or a branch")
	root := flags.String("root", ".", "the root of the repository")
	if err := flags.Parse(args); err != nil {
		return notCompared
	}
	found, err := compare(ctx, repository{root: *root}, *base)
	if err != nil {
		fmt.Fprintln(stderr, "compat:", err)
		return notCompared
	}
	return found.report(stdout, *base)
}

// compare compares the working tree with the release base.
func compare(ctx context.Context, repo repository, base string) (*findings, error) {
	commit, err := repo.resolve(ctx, base)
	if err != nil {
		return nil, err
	}
	release, err := repo.at(ctx, commit)
	if err != nil {
		return nil, err
	}
	var found findings
	now := os.DirFS(repo.root)
	if err := compareOffers(ctx, &found, repo, commit, release, now); err != nil {
		return nil, err
	}
	if err := compareAPIs(&found, release, now); err != nil {
		return nil, err
	}
	return &found, nil
}

// findings are what differs.
type findings struct {
	lines    map[verdict][]string
	compared int // contracts
}

// verdict is what a difference means.
type verdict string

// The verdicts, in the order of the report.
const (
	added   verdict = "added"
	changed verdict = "changed" // but nothing breaks
	unknown verdict = "not compared"
	breaks  verdict = "BREAKS"
)

func (f *findings) addf(v verdict, subject, format string, args ...any) {
	if f.lines == nil {
		f.lines = map[verdict][]string{}
	}
	f.lines[v] = append(f.lines[v], subject+": "+fmt.Sprintf(format, args...))
}

// report writes one line per finding and returns the exit code.
func (f *findings) report(w io.Writer, base string) int {
	for _, v := range []verdict{added, changed, unknown, breaks} {
		slices.Sort(f.lines[v])
		for _, line := range slices.Compact(f.lines[v]) {
			fmt.Fprintf(w, "%s  %s\n", v, line)
		}
	}
	if len(f.lines[breaks]) > 0 {
		fmt.Fprintf(w, "The working tree cannot run beside %s. CONTRIBUTING.md says how a contract is changed.\n", base)
		return breaking
	}
	fmt.Fprintf(w, "%d contracts of the working tree are compatible with %s.\n", f.compared, base)
	return compatible
}
