package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// operation is one operation of a service, as the service's OpenAPI document tells it.
type operation struct {
	service, method, path string
	spec                  *openapi3.T
	parameters            []*openapi3.Parameter
	body                  *openapi3.RequestBody
}

// documents returns the OpenAPI document of every service there is.
func documents(t *testing.T) map[string]*openapi3.T {
	t.Helper()
	files, err := filepath.Glob("../services/*/openapi.yaml")
	require.NoError(t, err)
	found := map[string]*openapi3.T{}
	for _, file := range append(files, "../orchestrator/openapi.yaml") {
		spec, err := openapi3.NewLoader().LoadFromFile(file)
		require.NoError(t, err)
		found[filepath.Base(filepath.Dir(file))] = spec
	}
	return found
}

// operationsOf returns all operations of a document, in a fixed order.
func operationsOf(service string, spec *openapi3.T) (all []operation) {
	for path, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			op := operation{service: service, method: method, path: path, spec: spec}
			for _, p := range slices.Concat(item.Parameters, o.Parameters) {
				op.parameters = append(op.parameters, p.Value)
			}
			if o.RequestBody != nil {
				op.body = o.RequestBody.Value
			}
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	return all
}

func (op operation) String() string { return fmt.Sprint(op.service, " ", op.method, " ", op.path) }

// in returns the parameters at a place.
func (op operation) in(place string) (found []*openapi3.Parameter) {
	for _, p := range op.parameters {
		if p.In == place {
			found = append(found, p)
		}
	}
	return found
}

// media returns the type of the body and its schema; "" where the operation takes none.
func (op operation) media() (string, *openapi3.MediaType) {
	if op.body == nil {
		return "", nil
	}
	for name, media := range op.body.Content {
		return name, media
	}
	return "", nil
}

// needsKey tells that a call without Idempotency-Key is refused.
func (op operation) needsKey() bool {
	return slices.ContainsFunc(op.in(openapi3.ParameterInHeader), func(p *openapi3.Parameter) bool {
		return p.Name == "Idempotency-Key" && p.Required
	})
}

// request is a call. Path and query are as they are sent, escapes included.
type request struct {
	method, path, query string
	header              http.Header
	body                []byte
}

func (r request) with(name, value string) request {
	r.header = r.header.Clone()
	if value == "" {
		r.header.Del(name)
	} else {
		r.header.Set(name, value)
	}
	return r
}

func (r request) withBody(body []byte) request {
	r.body = body
	return r
}

// asking adds a parameter to the query, escaped already.
func (r request) asking(name, value string) request {
	if r.query != "" {
		r.query += "&"
	}
	r.query += name + "=" + value
	return r
}

// sample returns a call that the document allows. What it is about does not exist, as far as the path says.
func (op operation) sample(t *testing.T, key string) request {
	t.Helper()
	r := request{method: op.method, path: op.path, header: http.Header{}}
	for _, p := range op.parameters {
		switch {
		case p.In == openapi3.ParameterInPath:
			r.path = op.fill(r.path, p.Name, fmt.Sprint(sampleOf(t, p.Schema.Value)))
		case p.In == openapi3.ParameterInQuery && p.Required:
			r = r.asking(p.Name, url.QueryEscape(fmt.Sprint(sampleOf(t, p.Schema.Value))))
		}
	}
	if op.needsKey() {
		r = r.with("Idempotency-Key", key)
	}
	name, media := op.media()
	switch {
	case media == nil:
	case strings.HasSuffix(name, "json"):
		body := sampleOf(t, media.Schema.Value)
		require.NoError(t, media.Schema.Value.VisitJSON(body), "the sample for %s", op)
		r = r.with("Content-Type", name).withBody(encode(t, body))
	default:
		require.NotNil(t, media.Example, "%s takes %s and gives no example", op, name)
		r = r.with("Content-Type", name).withBody([]byte(fmt.Sprint(media.Example)))
	}
	return r
}

func (op operation) fill(path, name, value string) string {
	return strings.Replace(path, "{"+name+"}", value, 1)
}

// sampleOf returns a value that a schema allows, with every property that it has, in the types of encoding/json.
func sampleOf(t *testing.T, s *openapi3.Schema) any {
	t.Helper()
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type.Is(openapi3.TypeObject):
		object := map[string]any{}
		for name, property := range s.Properties {
			object[name] = sampleOf(t, property.Value)
		}
		return object
	case s.Type.Is(openapi3.TypeArray):
		return []any{sampleOf(t, s.Items.Value)}
	case s.Type.Is(openapi3.TypeInteger), s.Type.Is(openapi3.TypeNumber):
		if s.Min != nil && *s.Min > 1 {
			return *s.Min
		}
		return float64(1)
	case s.Type.Is(openapi3.TypeBoolean):
		return true
	default:
		return sampleText(t, s)
	}
}

func sampleText(t *testing.T, s *openapi3.Schema) string {
	t.Helper()
	for _, text := range []string{"EUR", "DE", "2026-01-31T12:00:00Z"} {
		fits, err := regexp.MatchString(s.Pattern, text)
		require.NoError(t, err)
		if fits && (s.Format != "date-time" || strings.Contains(text, "T")) {
			return text
		}
	}
	t.Fatalf("there is no sample yet for the pattern %s", s.Pattern)
	return ""
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	body, err := json.Marshal(value)
	require.NoError(t, err)
	return body
}

// replaced returns a copy of a value with the part at a path replaced. drop removes the part.
func replaced(value any, path []string, part any) any {
	if len(path) == 0 {
		return part
	}
	switch v := value.(type) {
	case map[string]any:
		v = maps.Clone(v)
		if v[path[0]] = replaced(v[path[0]], path[1:], part); v[path[0]] == any(drop) {
			delete(v, path[0])
		}
		return v
	case []any:
		return []any{replaced(v[0], path[1:], part)} // Samples have one item.
	default:
		return value
	}
}

type dropped struct{}

var drop = dropped{}
