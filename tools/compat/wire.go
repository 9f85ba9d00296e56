package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shape is the form of a JSON document: the type of each field by its path, such as "lines[].sku". Values are examples.
type shape map[string]string

func shapeOf(document []byte) (shape, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("more than one JSON value")
	}
	s := shape{}
	s.add("", value)
	return s, nil
}

func (s shape) add(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		s[path] = "object"
		for name, field := range v {
			s.add(strings.TrimPrefix(path+"."+name, "."), field)
		}
	case []any:
		s[path] = "array"
		for _, element := range v {
			s.add(path+"[]", element)
		}
	case json.Number:
		s[path] = "integer"
		if strings.ContainsAny(v.String(), ".eE") {
			s[path] = "number"
		}
	case string:
		s[path] = "string"
	case bool:
		s[path] = "boolean"
	default:
		s[path] = "null"
	}
}

// side is one direction of a wire type: whom it concerns when a field of it changes.
type side struct {
	// field is what a field is called there.
	field string
	// who, in the plural, of the release does what to it.
	who, does string
	// added says what a field that is new has to live with.
	added string
}

// compareWire compares a wire type with that of the release. A field below one that was reported is not reported again.
func compareWire(found *findings, subject string, s side, before, after shape) {
	var reported []string
	covered := func(path string) bool {
		return slices.ContainsFunc(reported, func(above string) bool {
			return above == "" || strings.HasPrefix(path, above+".") || strings.HasPrefix(path, above+"[")
		})
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		was, is := before[path], after[path]
		if was == is || covered(path) {
			continue
		}
		reported = append(reported, path)
		if is == "" {
			found.addf(breaks, subject, "%s `%s` was removed: %s still %s it", s.field, path, s.who, s.does)
		} else {
			found.addf(breaks, subject, "%s changed from %s to %s: %s still %s %s",
				strings.TrimSuffix(fmt.Sprintf("%s `%s`", s.field, path), " ``"), a(was), a(is), s.who, s.does, a(was))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if before[path] == "" && !covered(path) {
			reported = append(reported, path)
			found.addf(added, subject, "%s `%s`: %s", s.field, path, s.added)
		}
	}
}

// a gives a JSON type its article.
func a(kind string) string {
	if strings.ContainsRune("aio", rune(kind[0])) {
		return "an " + kind
	}
	return "a " + kind
}
