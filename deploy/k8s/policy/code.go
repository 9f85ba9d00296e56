package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const module = "github.com/orderflow/orderflow/"

// Reach is where a program goes by itself.
type Reach struct {
	PostgreSQL, NATS, Temporal, Web bool
	// Programs are those whose APIs it calls.
	Programs []string
}

func (r Reach) arrows() []Arrow {
	var all []Arrow
	for _, a := range []struct {
		goes bool
		to   Arrow
	}{{r.PostgreSQL, toPostgreSQL}, {r.NATS, toNATS}, {r.Temporal, toTemporal}, {r.Web, toTheWeb}} {
		if a.goes {
			all = append(all, a.to)
		}
	}
	for _, name := range r.Programs {
		all = append(all, program(name))
	}
	return all
}

// ReachOf derives where a program of the module in folder, such as services/payments, goes from what it imports.
func ReachOf(ctx context.Context, root, folder, program string) (Reach, error) {
	//nolint:gosec // a program of ours
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Imports", "./cmd/"+program)
	cmd.Dir = filepath.Join(root, folder)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return Reach{}, fmt.Errorf("%s: %w: %s", folder, err, &problems)
	}
	var (
		r   Reach
		own = module + folder + "/"
	)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return Reach{}, fmt.Errorf("%s: %w", folder, err)
		}
		switch {
		case p.ImportPath == module+"pkg/eventbus":
			r.NATS = true
		case p.ImportPath == module+"pkg/temporalclient":
			r.Temporal = true
		case strings.HasPrefix(p.ImportPath, "github.com/stripe/stripe-go/"):
			r.Web = true
		case strings.HasPrefix(p.ImportPath, module) && strings.HasSuffix(p.ImportPath, "/client"):
			r.Programs = append(r.Programs, filepath.Base(filepath.Dir(p.ImportPath)))
		}
		// Everybody has pkg/postgres by way of pkg/service, which opens a database for those only that have tables of
		// their own. So for this arrow the program itself has to import it.
		if strings.HasPrefix(p.ImportPath, own) && slices.Contains(p.Imports, module+"pkg/postgres") {
			r.PostgreSQL = true
		}
	}
}

var secretField = regexp.MustCompile("config\\.Secret\\s+`env:\"(\\w+)")

// SecretVariables returns the names of the settings that the code declares to be secret.
func SecretVariables(root string) ([]string, error) {
	var names []string
	for _, folder := range []string{"pkg", "services", "orchestrator"} {
		err := fs.WalkDir(os.DirFS(root), folder, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			source, err := os.ReadFile(filepath.Join(root, name)) //nolint:gosec // below root, from its own listing
			for _, m := range secretField.FindAllSubmatch(source, -1) {
				names = append(names, string(m[1]))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
