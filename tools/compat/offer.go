package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing/fstest"
	"time"
)

// offer is what testdata/contract.json holds. The tests of a contract write it, see pkg/contract/contracttest.
type offer struct {
	Stream struct {
		Name     string
		Subjects []string
	}
	Activities       map[string]call
	Workflows        map[string]call
	Signals          map[string]call
	Queries          map[string]call
	Updates          map[string]call
	Events           map[string]string
	Failures         map[string]string
	SearchAttributes map[string]string `json:"search_attributes"`
	// Deprecated are the names that nobody uses any more, so that the release after this one need not have them.
	Deprecated []string
}

type call struct {
	Queue, ID    string
	StartToClose duration `json:"start_to_close"`
	Heartbeat    duration
	Final        []string
	// Request and Response name wire types.
	Request, Response string
}

type duration struct{ time.Duration }

func (d *duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// wireTypes are the wire types that o names.
func (o offer) wireTypes() []string {
	names := slices.Collect(maps.Values(o.Events))
	for _, calls := range []map[string]call{o.Activities, o.Workflows, o.Signals, o.Queries, o.Updates} {
		for _, c := range calls {
			names = append(names, c.Request, c.Response)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// contract is what the package in dir offers, with the shapes of its wire types, which are named as their golden files.
type contract struct {
	offer
	dir    string
	shapes map[string]shape
}

// compareOffers compares everything that is known by a name.
func compareOffers(
	ctx context.Context, found *findings, repo repository, commit string, release fstest.MapFS, now fs.FS,
) error {
	lists, err := union(release, now, "services/*/testdata/contract.json", "*/internal/*/testdata/contract.json")
	if err != nil {
		return err
	}
	for _, list := range lists {
		dir := path.Dir(path.Dir(list))
		if release[list] == nil {
			known, err := complete(ctx, found, repo, commit, release, dir)
			if err != nil {
				return err
			}
			if !known {
				continue
			}
		}
		before, err := loadContract(release, dir)
		if err != nil {
			return fmt.Errorf("at the release: %w", err)
		}
		after, err := loadContract(now, dir)
		if err != nil {
			return err
		}
		comparison{found, before, after}.run()
		found.compared++
	}
	return nil
}

// complete gives a release that is older than the list of its names the list that was written first, if the code which
// declares them was still the same then. It reports whether there is anything to compare with.
func complete(
	ctx context.Context, found *findings, repo repository, commit string, release fstest.MapFS, dir string,
) (bool, error) {
	old, err := repo.has(ctx, commit, dir)
	if err != nil || !old {
		return !old, err // What is new as a whole is compared with nothing.
	}
	first, err := repo.firstOf(ctx, commit, dir+"/testdata/contract.json")
	if err != nil {
		return false, err
	}
	same := false
	if first != "" {
		if same, err = repo.sameContract(ctx, commit, first, dir); err != nil {
			return false, err
		}
	}
	if !same {
		found.addf(unknown, dir, "the release has no testdata/contract.json, and its code is not that of the first one")
		return false, nil
	}
	later, err := repo.at(ctx, first)
	if err != nil {
		return false, err
	}
	// Of the golden files that the release has, those count that the list knows.
	golden := func(name string, _ *fstest.MapFile) bool { return path.Dir(name) == dir+"/testdata" }
	pinned := maps.Clone(release)
	maps.DeleteFunc(release, golden)
	for name, file := range later {
		if golden(name, file) {
			release[name] = cmp.Or(pinned[name], file)
		}
	}
	return true, nil
}

// loadContract reads the contract of a package. One that is not there offers nothing.
func loadContract(tree fs.FS, dir string) (contract, error) {
	c := contract{dir: dir, shapes: map[string]shape{}}
	files, err := fs.Glob(tree, dir+"/testdata/*.json")
	if err != nil {
		return c, err
	}
	for _, file := range files {
		data, err := fs.ReadFile(tree, file)
		if err != nil {
			return c, err
		}
		name := strings.TrimSuffix(path.Base(file), ".json")
		if name == "contract" {
			err = json.Unmarshal(data, &c.offer)
		} else {
			c.shapes[name], err = shapeOf(data)
		}
		if err != nil {
			return c, fmt.Errorf("%s: %w", file, err)
		}
	}
	for _, name := range c.wireTypes() {
		if c.shapes[name] == nil {
			return c, fmt.Errorf("%s: contract.json names %s, which has no golden file", dir, name)
		}
	}
	return c, nil
}
