package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kubernetesVersion is the newest that kubectl-validate carries the schemas of. All that we use is in every later one.
const kubernetesVersion = "1.30"

// Schemas validates by kubectl-validate.
type Schemas struct {
	tools string   // the go.mod that says which version of it
	crds  []string // folders
}

// crdsOf says where the modules of crds/go.mod have their CRDs.
var crdsOf = map[string]string{
	"github.com/kedacore/keda/v2":                        "config/crd/bases",
	"github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd",
}

// NewSchemas returns the schemas of Kubernetes and of the CRDs in the folder and in the modules that its go.mod
// requires, which are downloaded where they are not there.
func NewSchemas(ctx context.Context, root, crds string) (Schemas, error) {
	s := Schemas{tools: filepath.Join(root, "tools/k8s/go.mod"), crds: []string{crds}}
	for module, folder := range crdsOf {
		download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module) //nolint:gosec // of crdsOf
		download.Dir = crds
		download.Env = append(os.Environ(), "GOWORK=off")
		out, err := download.Output()
		var info struct{ Dir, Error string }
		if err = errors.Join(err, json.Unmarshal(out, &info)); err != nil {
			return s, fmt.Errorf("%s: %w %s", module, err, info.Error)
		}
		s.crds = append(s.crds, filepath.Join(info.Dir, folder))
	}
	return s, nil
}

// Check reports fields that are unknown, missing, or of the wrong type.
func (s Schemas) Check(ctx context.Context, renderings ...Rendering) ([]Violation, error) {
	dir, err := os.MkdirTemp("", "manifests-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	subjects := map[string]Violation{} // by file, without a problem yet
	for _, r := range renderings {
		for _, o := range r.Objects {
			for _, part := range append([]unstructured.Unstructured{o.Unstructured}, embedded(o)...) {
				file := filepath.Join(dir, fmt.Sprintf("%d.json", len(subjects)))
				document, err := json.Marshal(part.Object)
				if err = errors.Join(err, os.WriteFile(file, document, 0o600)); err != nil {
					return nil, err
				}
				subjects[file] = Violation{Dir: r.Dir, Object: o.String()}
			}
		}
	}
	//nolint:gosec // our own folders
	validate := exec.CommandContext(ctx, "go", "tool", "-modfile="+s.tools, "kubectl-validate",
		"--version="+kubernetesVersion, "--local-crds="+strings.Join(s.crds, ","), "--output=json", dir)
	// No cluster is asked, even where there is one.
	validate.Env = append(os.Environ(), "GOWORK=off", "KUBECONFIG="+os.DevNull)
	var problems bytes.Buffer
	validate.Stderr = &problems
	out, failed := validate.Output() // with 1 as well when something is invalid
	var statuses map[string][]metav1.Status
	if err := json.Unmarshal(out, &statuses); err != nil {
		return nil, fmt.Errorf("kubectl-validate: %w: %s", errors.Join(failed, err), &problems)
	}
	if len(statuses) != len(subjects) {
		return nil, fmt.Errorf("kubectl-validate: %d of %d resources were read", len(statuses), len(subjects))
	}
	var found []Violation
	for _, file := range slices.Sorted(maps.Keys(statuses)) {
		for _, status := range statuses[file] {
			if status.Status != metav1.StatusSuccess {
				v := subjects[file]
				v.Problem = strings.TrimPrefix(status.Message, ` "" is invalid: `) // it knows no names
				found = append(found, v)
			}
		}
	}
	return found, nil
}

// embedded returns the resources of Kubernetes that one of the Worker Controller holds, as the controller would make
// them: its own schema lets anything pass there.
func embedded(o Object) []unstructured.Unstructured {
	metadata := map[string]any{"name": o.GetName()}
	template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	switch o.GetKind() {
	case kindWorkerDeployment:
		return []unstructured.Unstructured{{Object: map[string]any{
			"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template,
		}}}
	case kindWorkerResourceTemplate:
		template["metadata"] = metadata
		target := map[string]any{"apiVersion": "apps/v1", "kind": kindDeployment, "name": o.GetName()}
		_ = unstructured.SetNestedMap(template, target, "spec", "scaleTargetRef")
		return []unstructured.Unstructured{{Object: template}}
	default:
		return nil
	}
}
