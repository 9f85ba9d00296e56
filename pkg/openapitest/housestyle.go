package openapitest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/orderflow/orderflow/pkg/problem"
)

// HouseStyle fails the test for each rule of the house that the document breaks:
//
//   - every operation has an operationId and a default response with a problem;
//   - every POST requires Idempotency-Key, unless x-safe: true says that it changes nothing, as asking for a quote;
//   - every object says what becomes of fields it does not name (additionalProperties), because silence lets a misspelt
//     field through;
//   - every integer in a request has a maximum or a format, and so fits into what the generated code uses for it;
//   - every text in a request has a maxLength, an enum, a pattern or a format.
func HouseStyle(tb testing.TB, spec *openapi3.T) {
	tb.Helper()
	if err := spec.Validate(tb.Context()); err != nil {
		tb.Errorf("openapitest: the document is not valid: %v", err)
		return
	}
	c := styleChecker{tb: tb, seen: map[*openapi3.Schema]bool{}}
	for path, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			c.operation(method+" "+path, method, item, o)
		}
	}
	if spec.Components != nil {
		for name, ref := range spec.Components.Schemas {
			c.schema("schema "+name, ref, false)
		}
	}
}

type styleChecker struct {
	tb   testing.TB
	seen map[*openapi3.Schema]bool
}

func (c styleChecker) broken(where, rule string) {
	c.tb.Helper()
	c.tb.Errorf("openapitest: %s %s", where, rule)
}

func (c styleChecker) operation(where, method string, item *openapi3.PathItem, o *openapi3.Operation) {
	c.tb.Helper()
	if o.OperationID == "" {
		c.broken(where, "has no operationId")
	}
	fallback := o.Responses.Default()
	if fallback == nil || fallback.Value == nil || fallback.Value.Content[problem.ContentType] == nil {
		c.broken(where, "has no default response with a problem")
	}
	needsKey := method == http.MethodPost && o.Extensions["x-safe"] != true
	for _, ref := range slices.Concat(item.Parameters, o.Parameters) {
		p := ref.Value
		if p.In == openapi3.ParameterInHeader && strings.EqualFold(p.Name, "Idempotency-Key") && p.Required {
			needsKey = false
		}
	}
	if needsKey {
		c.broken(where, "does not require Idempotency-Key")
	}
	if o.RequestBody == nil {
		return
	}
	for mediaType, content := range o.RequestBody.Value.Content {
		if strings.HasSuffix(mediaType, "json") {
			c.schema(where+" body", content.Schema, true)
		}
	}
}

// schema visits requests first, so that a schema used in both directions is held to the stricter rules.
func (c styleChecker) schema(where string, ref *openapi3.SchemaRef, request bool) {
	c.tb.Helper()
	if ref == nil || c.seen[ref.Value] {
		return
	}
	s := ref.Value
	c.seen[s] = true
	for i, part := range slices.Concat(s.AllOf, s.OneOf, s.AnyOf) {
		c.schema(fmt.Sprintf("%s (part %d)", where, i), part, request)
	}
	switch {
	case s.Type.Is(openapi3.TypeObject):
		if s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
			c.broken(where, "does not say what becomes of additionalProperties")
		}
		for name, property := range s.Properties {
			c.schema(where+"/"+name, property, request)
		}
		c.schema(where+"/*", s.AdditionalProperties.Schema, request)
	case s.Type.Is(openapi3.TypeArray):
		c.schema(where+"/0", s.Items, request)
	case request && s.Type.Is(openapi3.TypeInteger):
		if s.Max == nil && s.Format == "" {
			c.broken(where, "is an integer without maximum or format")
		}
	case request && s.Type.Is(openapi3.TypeString):
		if s.MaxLength == nil && len(s.Enum) == 0 && s.Pattern == "" && s.Format == "" {
			c.broken(where, "is a text without maxLength, enum, pattern or format")
		}
	}
}
