package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// defect is a call that is wrong in one way, and how it must be refused. A status of 0 is any 4xx; a code or pointer of
// "" is any.
type defect struct {
	name          string
	call          request
	status        int
	code, pointer string
}

const tenMegabytes = 10 << 20

// notUTF8 stands for bytes that are no text, where JSON is written.
const notUTF8 = "NOT-UTF-8"

// defects returns every way in which a call of the operation can be wrong by its form.
func (op operation) defects(t *testing.T, good request) []defect {
	t.Helper()
	return slices.Concat(op.addressDefects(good), op.queryDefects(good), op.headerDefects(good), op.bodyDefects(t, good))
}

func (op operation) addressDefects(good request) (found []defect) {
	for _, p := range op.in(openapi3.ParameterInPath) {
		at := func(value string) request {
			r := good
			r.path = op.path
			for _, other := range op.in(openapi3.ParameterInPath) {
				if other.Name == p.Name {
					r.path = op.fill(r.path, p.Name, value)
				} else {
					r.path = op.fill(r.path, other.Name, "EUR")
				}
			}
			return r
		}
		found = append(found,
			defect{p.Name + " with NUL", at("a%00b"), http.StatusBadRequest, "nul_character", ""},
			defect{p.Name + " that is no text", at("a%ffb"), http.StatusBadRequest, "path_malformed", ""},
			defect{p.Name + " of 300 letters", at(strings.Repeat("a", 300)), 0, "", ""},
			defect{p.Name + " with a slash", at("a%2Fb"), 0, "", ""},
			defect{p.Name + " of dots", at("%2e%2e"), 0, "", ""},
			defect{p.Name + " with an apostrophe", at("'%20OR%201=1--"), 0, "", ""},
		)
	}
	return found
}

func (op operation) queryDefects(good request) []defect {
	bad := func(name, parameter, value string, status int, code string) defect {
		pointer := ""
		if code == "request_malformed" || code == "request_invalid" {
			pointer = "query/" + parameter
		}
		return defect{name, good.asking(parameter, value), status, code, pointer}
	}
	malformed := func(name, parameter, value string) defect {
		return bad(name, parameter, value, http.StatusBadRequest, "request_malformed")
	}
	invalid := func(name, parameter, value string) defect {
		return bad(name, parameter, value, http.StatusUnprocessableEntity, "request_invalid")
	}
	found := []defect{
		malformed("unknown query parameter", "surprise", "1"),
		bad("query with bad escapes", "surprise", "%zz", http.StatusBadRequest, "query_malformed"),
	}
	for _, p := range op.in(openapi3.ParameterInQuery) {
		s := p.Schema.Value
		if !p.Required { // Asked for once more it would be a defect of another kind.
			found = append(found,
				bad(p.Name+" with NUL", p.Name, "a%00b", http.StatusBadRequest, "nul_character"),
				bad(p.Name+" that is no text", p.Name, "a%ffb", http.StatusBadRequest, "query_malformed"),
			)
		}
		if p.Required {
			missing := good
			missing.query = ""
			found = append(found, defect{"no " + p.Name, missing, 0, "", ""})
		}
		found = append(found, malformed(p.Name+" twice", p.Name, "1&"+p.Name+"=2"))
		switch {
		case p.Required:
		case s.Type.Is(openapi3.TypeInteger):
			found = append(found, malformed(p.Name+" in letters", p.Name, "abc"), malformed(p.Name+" in parts", p.Name, "1.5"),
				bad(p.Name+" beyond int64", p.Name, "9223372036854775808", 0, ""))
			if s.Min != nil {
				found = append(found, invalid(p.Name+" too small", p.Name, fmt.Sprint(*s.Min-1)))
			}
			if s.Max != nil {
				found = append(found, invalid(p.Name+" too large", p.Name, fmt.Sprint(*s.Max+1)))
			}
		case len(s.Enum) > 0:
			found = append(found, bad(p.Name+" unknown", p.Name, "nonsense", 0, ""))
		case s.Format == "date-time":
			found = append(found, bad(p.Name+" no time", p.Name, "yesterday", 0, ""))
		default:
			if s.MaxLength != nil {
				found = append(found, bad(p.Name+" too long", p.Name, strings.Repeat("a", int(*s.MaxLength)+1), 0, ""))
			}
			if s.MinLength > 0 {
				found = append(found, bad(p.Name+" empty", p.Name, "", 0, ""))
			}
		}
		if p.Name == "cursor" {
			found = append(found, bad("garbage cursor", "cursor", "garbage", http.StatusBadRequest, "cursor_malformed"),
				bad("cursor of another making", "cursor", "eyJ2IjoxfQ", http.StatusBadRequest, "cursor_malformed"),
				bad("cursor with signs", "cursor", url.QueryEscape("!?"), http.StatusBadRequest, "cursor_malformed"))
		}
	}
	return found
}

func (op operation) headerDefects(good request) []defect {
	found := []defect{
		{"caller with a space", good.with("Orderflow-Subject", "a b"), http.StatusBadRequest, "caller_malformed", ""},
		{"caller of 10,000 letters", good.with("Orderflow-Subject", strings.Repeat("a", 10_000)), http.StatusBadRequest, "caller_malformed", ""},
		{"scopes that are no text", good.with("Orderflow-Scopes", "a\xff"), http.StatusBadRequest, "caller_malformed", ""},
	}
	if op.needsKey() {
		key := func(name, value, code string) defect {
			return defect{name, good.with("Idempotency-Key", value), http.StatusBadRequest, code, "header/Idempotency-Key"}
		}
		found = append(found, key("no key", "", "idempotency_key_missing"),
			key("key of 300 letters", strings.Repeat("k", 300), "idempotency_key_malformed"),
			key("key with a space", "a b", "idempotency_key_malformed"),
			key("key that is no text", "k\xff", "idempotency_key_malformed"),
			key("key with an open quote", `"k`, "idempotency_key_malformed"))
	}
	return found
}

func (op operation) bodyDefects(t *testing.T, good request) []defect {
	t.Helper()
	bad := func(name string, body []byte, status int, code string) defect {
		return defect{name, good.withBody(body), status, code, ""}
	}
	mediaType, media := op.media()
	if media == nil {
		unexpected := good.with("Content-Type", "application/json").withBody([]byte("{}"))
		if op.method == http.MethodGet {
			return nil // Some clients send one with every call.
		}
		return []defect{{"body where none belongs", unexpected, http.StatusBadRequest, "body_unexpected", ""}}
	}
	found := []defect{
		{"body of another type", good.with("Content-Type", "text/plain"), http.StatusUnsupportedMediaType, "media_type_unsupported", ""},
		{"body of no type", good.with("Content-Type", ""), http.StatusUnsupportedMediaType, "media_type_unsupported", ""},
		{"packed body", good.with("Content-Encoding", "gzip"), http.StatusUnsupportedMediaType, "media_type_unsupported", ""},
	}
	if op.body.Required {
		found = append(found, bad("no body", nil, http.StatusBadRequest, "body_missing"))
	}
	if op.body.Required {
		found = append(found, bad("no body", nil, http.StatusBadRequest, "body_missing"))
	}
	if !strings.HasSuffix(mediaType, "json") {
		return append(found,
			bad("nonsense", []byte("nonsense"), 0, ""),
			bad("10 MB of nonsense", bytes.Repeat([]byte("nonsense\n"), tenMegabytes/9), 0, ""),
			bad("body that is no text", append(slices.Clone(good.body), 0xff, '\n'), 0, ""),
			bad("body with NUL", append(slices.Clone(good.body), 0, '\n'), 0, ""),
		)
	}
	return slices.Concat(found, []defect{
		bad("half a body", good.body[:len(good.body)/2], http.StatusBadRequest, "json_malformed"),
		bad("two bodies", slices.Concat(good.body, good.body), http.StatusBadRequest, "json_malformed"),
		bad("deep body", bytes.Repeat([]byte("["), 100_000), http.StatusBadRequest, "json_malformed"),
		bad("10 MB body", append(bytes.Repeat([]byte(" "), tenMegabytes), good.body...), http.StatusRequestEntityTooLarge, "body_too_large"),
	}, valueDefects(t, good, media.Schema.Value, sampleOf(t, media.Schema.Value), nil))
}

// valueDefects returns the ways in which the value at a path of the body, and every value in it, can be wrong.
func valueDefects(t *testing.T, good request, s *openapi3.Schema, body any, path []string) (found []defect) {
	t.Helper()
	pointer := ""
	if len(path) > 0 {
		pointer = "/" + strings.Join(path, "/")
	}
	put := func(name string, at []string, value any, status int, code, pointer string) {
		raw := encode(t, replaced(body, at, value))
		raw = bytes.ReplaceAll(raw, []byte(notUTF8), []byte("\xff"))
		found = append(found, defect{pointer + " " + name, good.withBody(raw), status, code, pointer})
	}
	malformed := func(name string, value any) {
		put(name, path, value, http.StatusBadRequest, "request_malformed", pointer)
	}
	invalid := func(name string, value any) {
		put(name, path, value, http.StatusUnprocessableEntity, "request_invalid", pointer)
	}
	malformed("null", nil)
	switch {
	case s.Type.Is(openapi3.TypeObject):
		malformed("text for an object", "text")
		malformed("a list for an object", []any{})
		put("unknown field", slices.Concat(path, []string{"surprise"}), 1,
			http.StatusBadRequest, "request_malformed", pointer+"/surprise")
		for _, name := range s.Required {
			put("missing field", slices.Concat(path, []string{name}), drop,
				http.StatusUnprocessableEntity, "request_invalid", pointer+"/"+name)
		}
		for name, property := range s.Properties {
			found = append(found, valueDefects(t, good, property.Value, body, slices.Concat(path, []string{name}))...)
		}
	case s.Type.Is(openapi3.TypeArray):
		malformed("an object for a list", map[string]any{})
		if s.MinItems > 0 {
			invalid("empty list", []any{})
		}
		if s.MaxItems != nil {
			invalid("too long a list", slices.Repeat([]any{sampleOf(t, s.Items.Value)}, int(*s.MaxItems)+1))
		}
		found = append(found, valueDefects(t, good, s.Items.Value, body, slices.Concat(path, []string{"0"}))...)
	case s.Type.Is(openapi3.TypeInteger), s.Type.Is(openapi3.TypeNumber):
		malformed("text for a number", "1")
		put("beyond int64", path, json.Number("9223372036854775808"), 0, "", "")
		put("beyond float64", path, json.Number("1e999"), 0, "", "")
		if s.Type.Is(openapi3.TypeInteger) {
			put("fraction", path, json.Number("1.5"), http.StatusBadRequest, "", "")
		}
		if s.Min != nil {
			invalid("too small", *s.Min-1)
		}
		if s.Max != nil {
			put("too large", path, json.Number(fmt.Sprintf("%.0f", *s.Max+1)), http.StatusUnprocessableEntity, "", pointer)
		}
	case s.Type.Is(openapi3.TypeBoolean):
		malformed("text for a truth", "true")
		malformed("a number for a truth", 1)
	default:
		wrongType := http.StatusBadRequest
		if len(s.Enum) > 0 {
			wrongType = 0 // It is none of the values either.
		}
		put("a number for text", path, 1, wrongType, "", pointer)
		put("a list for text", path, []any{"text"}, wrongType, "", pointer)
		put("NUL in text", path, "a\x00b", http.StatusBadRequest, "nul_character", "")
		put("no UTF-8", path, notUTF8, http.StatusBadRequest, "encoding_malformed", "")
		if len(s.Enum) > 0 {
			invalid("unknown value", "nonsense")
			return found
		}
		if s.MinLength > 0 {
			invalid("empty text", "")
		}
		if s.MaxLength != nil {
			invalid("too long a text", strings.Repeat("a", int(*s.MaxLength)+1))
		}
		if s.Pattern != "" {
			invalid("text of another form", " \t ")
		}
	}
	return found
}
