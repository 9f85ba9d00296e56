package httpserver

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"
)

// The extensions of the house to OpenAPI, for operations.
const (
	extBodyLimit = "x-max-body-bytes"
	extStream    = "x-stream"
)

// operation is what the document says about one method of one path, worked out once.
type operation struct {
	path       string
	route      *routers.Route
	parameters []*openapi3.Parameter // all but Idempotency-Key, which has rules of its own
	query      map[string]bool       // the names of those in the query; true for lists
	body       *openapi3.RequestBody
	media      map[string]*openapi3.Schema // by media type
	bodyLimit  int64
	stream     bool
	keyNeeded  bool // Idempotency-Key is required
}

// operations finds an operation by method and echo's form of the path. Echo has found the route already, and its
// answer decides which handler runs; a second router could come to another answer.
type operations map[string]*operation

func newOperations(spec *openapi3.T, bodyLimit int64) operations {
	if spec == nil || spec.Paths == nil {
		panic("httpserver: there is no OpenAPI document")
	}
	ops := operations{}
	for path, item := range spec.Paths.Map() {
		echoPath := strings.NewReplacer("{", ":", "}", "").Replace(path)
		for method, o := range item.Operations() {
			op, err := newOperation(o, item, bodyLimit)
			if err != nil {
				panic(fmt.Sprintf("httpserver: %s %s: %v", method, path, err))
			}
			op.path = path
			op.route = &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: o}
			ops[method+" "+echoPath] = op
		}
	}
	return ops
}

// of returns the operation that a request is for, or nil.
func (ops operations) of(c echo.Context) *operation {
	return ops[c.Request().Method+" "+c.Path()]
}

func newOperation(o *openapi3.Operation, item *openapi3.PathItem, bodyLimit int64) (*operation, error) {
	op := &operation{query: map[string]bool{}, media: map[string]*openapi3.Schema{}, bodyLimit: bodyLimit}
	for _, ref := range append(item.Parameters[:len(item.Parameters):len(item.Parameters)], o.Parameters...) {
		p := ref.Value
		switch {
		case p.In == openapi3.ParameterInHeader && http.CanonicalHeaderKey(p.Name) == HeaderIdempotencyKey:
			op.keyNeeded = op.keyNeeded || p.Required
			continue
		case p.In == openapi3.ParameterInQuery:
			op.query[p.Name] = p.Schema != nil && p.Schema.Value.Type.Is(openapi3.TypeArray)
		}
		op.parameters = append(op.parameters, p)
	}
	if o.RequestBody != nil {
		op.body = o.RequestBody.Value
		for name, content := range op.body.Content {
			mediaType, _, err := mime.ParseMediaType(name)
			if err != nil {
				return nil, fmt.Errorf("media type %q: %w", name, err)
			}
			op.media[mediaType] = &openapi3.Schema{}
			if content.Schema != nil {
				op.media[mediaType] = content.Schema.Value
			}
			op.stream = op.stream || mediaType == "text/csv"
		}
	}
	var stream *bool
	var limit *int64
	if err := extension(o.Extensions, extStream, &stream); err != nil {
		return nil, err
	}
	if err := extension(o.Extensions, extBodyLimit, &limit); err != nil {
		return nil, err
	}
	if stream != nil {
		op.stream = *stream
	}
	if limit != nil {
		op.bodyLimit = *limit
	}
	return op, nil
}

// extension reads a value that the loader may have left as any of several types.
func extension(all map[string]any, name string, into any) error {
	value, ok := all[name]
	if !ok {
		return nil
	}
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("extension %s: %w", name, err)
	}
	return nil
}
