// Package policy holds the manifests beside it against three things: the schemas of Kubernetes and of the operators,
// the rules of the house for what runs, and the code, whose imports say which arrows there are. It changes nothing and
// needs no cluster.
package policy

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const kustomization = "kustomization.yaml"

// Tree is a copy of the manifests, in memory.
type Tree struct{ files filesys.FileSystem }

// LoadTree reads the YAML files below dir.
func LoadTree(dir string) (Tree, error) {
	t := Tree{files: filesys.MakeFsInMemory()}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // a path below dir, from its own listing
		if err != nil {
			return err
		}
		return t.Write(name, string(content))
	})
	return t, err
}

// Read returns a file of the tree.
func (t Tree) Read(name string) (string, error) {
	content, err := t.files.ReadFile("/" + name)
	return string(content), err
}

// Write puts a file into the tree.
func (t Tree) Write(name, content string) error { return t.files.WriteFile("/"+name, []byte(content)) }

// Kustomizations returns the folders that can be rendered: components are for others to include.
func (t Tree) Kustomizations() ([]string, error) {
	var dirs []string
	err := t.files.Walk("/", func(name string, _ fs.FileInfo, err error) error {
		if err != nil || path.Base(name) != kustomization {
			return err
		}
		content, err := t.files.ReadFile(name)
		if err != nil {
			return err
		}
		var what struct{ Kind string }
		if err := yaml.Unmarshal(content, &what); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if what.Kind == "Kustomization" {
			dirs = append(dirs, strings.TrimPrefix(path.Dir(name), "/"))
		}
		return nil
	})
	slices.Sort(dirs)
	return dirs, err
}

// Rendering is what `kubectl apply -k` would send.
type Rendering struct {
	Dir     string
	Objects []Object
}

// Object is one resource, and the file that it began in.
type Object struct {
	unstructured.Unstructured
	File string
}

func (o Object) String() string {
	return fmt.Sprintf("%s (from %s)", ref(o.GetKind(), o.GetName()), o.File)
}

func ref(kind, name string) string { return kind + "/" + name }

// Render renders a folder of the tree.
func (t Tree) Render(dir string) (Rendering, error) {
	original, err := t.Read(path.Join(dir, kustomization))
	if err != nil {
		return Rendering{}, err
	}
	if err := t.Write(path.Join(dir, kustomization), original+"\nbuildMetadata: [originAnnotations]\n"); err != nil {
		return Rendering{}, err
	}
	defer func() { _ = t.Write(path.Join(dir, kustomization), original) }()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(t.files, "/"+dir)
	if err != nil {
		return Rendering{}, fmt.Errorf("%s: %w", dir, err)
	}
	r := Rendering{Dir: dir}
	for _, resource := range rendered.Resources() {
		origin, err := resource.GetOrigin()
		if err != nil {
			return Rendering{}, fmt.Errorf("%s: %w", dir, err)
		}
		if err := resource.SetOrigin(nil); err != nil {
			return Rendering{}, fmt.Errorf("%s: %w", dir, err)
		}
		o := Object{File: path.Join(dir, kustomization)}
		if origin != nil && origin.Path != "" {
			o.File = path.Join(dir, origin.Path)
		} else if origin != nil && origin.ConfiguredIn != "" {
			o.File = path.Join(dir, origin.ConfiguredIn)
		}
		content, err := resource.AsYAML()
		if err != nil {
			return Rendering{}, fmt.Errorf("%s: %w", dir, err)
		}
		if err := yaml.Unmarshal(content, &o.Object); err != nil {
			return Rendering{}, fmt.Errorf("%s: %w", dir, err)
		}
		r.Objects = append(r.Objects, o)
	}
	return r, nil
}

// typed returns the rendering's objects of one kind as the API's own type. Those that do not fit the type are left out:
// the schema says what is wrong with them.
func typed[T any](r Rendering, kind string) map[Key]T {
	found := map[Key]T{}
	for _, o := range r.Objects {
		if o.GetKind() != kind {
			continue
		}
		var value T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &value); err == nil {
			found[Key{Name: o.GetName(), Object: o.String()}] = value
		}
	}
	return found
}

// Key names an object, and says which it is.
type Key struct{ Name, Object string }

// Violation is one thing that is wrong.
type Violation struct{ Dir, Object, Problem string }

func (v Violation) String() string { return v.Dir + ": " + v.Object + ": " + v.Problem }
