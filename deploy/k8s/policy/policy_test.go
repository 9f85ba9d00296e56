package policy

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// setup is what the manifests are held against. It is made once, because the code is listed and the schemas are read.
type setup struct {
	schemas Schemas
	reaches map[string]Reach
	secrets []string
}

var known setup

func TestMain(m *testing.M) {
	var err error
	if known, err = newSetup(context.Background()); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func newSetup(ctx context.Context) (setup, error) {
	s := setup{reaches: map[string]Reach{}}
	var err error
	if s.schemas, err = NewSchemas(ctx, root, "crds"); err != nil {
		return s, err
	}
	if s.secrets, err = SecretVariables(root); err != nil {
		return s, err
	}
	programs, err := filepath.Glob(root + "/services/*/cmd")
	if err != nil {
		return s, err
	}
	for _, dir := range append(programs, root+"/orchestrator/cmd") {
		folder, err := filepath.Rel(root, filepath.Dir(dir))
		if err != nil {
			return s, err
		}
		if s.reaches[filepath.Base(folder)], err = ReachOf(ctx, root, folder, filepath.Base(folder)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// manifests returns the tree, with the overlays that the repository only offers: the platform with each autoscaling
// component.
func manifests(t *testing.T) Tree {
	t.Helper()
	tree, err := LoadTree("..")
	require.NoError(t, err)
	for _, component := range []string{"autoscale-cpu", "autoscale-backlog"} {
		require.NoError(t, tree.Write("overlays/with-"+component+"/kustomization.yaml",
			"resources: [../../platform]\ncomponents: [../../components/"+component+"]\nkind: Kustomization\n"))
	}
	return tree
}

// rules holds a rendering against all but its schemas.
func rules(r Rendering) []Violation {
	found := append(CheckPods(r, known.secrets), CheckScaling(r)...)
	return append(found, CheckArrows(r, known.reaches)...)
}

func TestEveryKustomizationIsValidAndKeepsTheRules(t *testing.T) {
	t.Parallel()
	tree := manifests(t)
	dirs, err := tree.Kustomizations()
	require.NoError(t, err)
	require.Subset(t, dirs, []string{
		"services/orders", "services/payments", "services/inventory", "services/shipping", "orchestrator",
		"overlays/dev", "overlays/production", "overlays/with-autoscale-backlog",
	})
	var (
		renderings []Rendering
		found      []Violation
	)
	for _, dir := range dirs {
		r, err := tree.Render(dir)
		require.NoError(t, err)
		renderings = append(renderings, r)
		if dir != "base" { // which is nobody's: it has neither a name nor an image
			found = append(found, rules(r)...)
		}
	}
	invalid, err := known.schemas.Check(t.Context(), renderings...)
	require.NoError(t, err)
	for _, violation := range append(invalid, found...) {
		t.Error(violation)
	}
}

func TestEveryProgramIsDeployedAndScaled(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"overlays/production", "overlays/with-autoscale-backlog"} {
		r, err := manifests(t).Render(dir)
		require.NoError(t, err)
		var scaled []string
		for _, target := range r.scalers() {
			scaled = append(scaled, target)
		}
		var want []string
		for name := range known.reaches {
			if name == "orchestrator" {
				want = append(want, "WorkerDeployment/orchestrator-server")
			} else {
				want = append(want, "Deployment/"+name+"-server")
			}
		}
		require.ElementsMatch(t, want, scaled, dir)
	}
}
