package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orderflow/orderflow/pkg/errs"
)

// maxDepth is how deep arrays and objects of a body may nest. No operation of ours needs ten.
const maxDepth = 32

var (
	errJSON = errs.New(errs.Malformed, "json_malformed", "The body is not valid JSON.")
	errUTF8 = errs.New(errs.Malformed, "encoding_malformed", "The request is not valid UTF-8.")
	errNUL  = errs.New(errs.Malformed, "nul_character", "Text must not contain the NUL character.")
)

// parseJSON reads a body into nil, bool, string, json.Number, []any and map[string]any. It refuses what
// encoding/json would let pass and the parts behind it would read differently: bad UTF-8 (replaced silently), an
// object with the same key twice (the last one wins), NUL (PostgreSQL cannot store it), and endless nesting.
func parseJSON(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errUTF8
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	p := jsonParser{Decoder: d}
	v, err := p.value()
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return v, nil
		}
		err = errJSON.WithMessage("The body goes on after the JSON value.")
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return nil, err
	}
	return nil, errJSON.WithMessage("The body is not valid JSON (near byte %d).", d.InputOffset()).WithCause(err)
}

type jsonParser struct {
	*json.Decoder
	path []string // of the value being read
}

func (p *jsonParser) value() (any, error) {
	token, err := p.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		return t, p.checkText(t)
	case json.Delim:
		if len(p.path) >= maxDepth {
			return nil, errJSON.WithMessage("The body nests deeper than %d levels.", maxDepth)
		}
		if t == '[' {
			return p.array()
		}
		return p.object()
	default:
		return t, nil
	}
}

func (p *jsonParser) array() (any, error) {
	items := []any{}
	for p.More() {
		p.path = append(p.path, strconv.Itoa(len(items)))
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		p.path = p.path[:len(p.path)-1]
	}
	_, err := p.Token()
	return items, err
}

func (p *jsonParser) object() (any, error) {
	members := map[string]any{}
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no key", token)
		}
		p.path = append(p.path, key)
		if err := p.checkText(key); err != nil {
			return nil, err
		}
		if _, twice := members[key]; twice {
			return nil, errs.New(errs.Malformed, "json_duplicate_key", "The body names a field twice.").
				WithFields(errs.Field{Pointer: pointer(p.path), Code: "duplicate", Message: "The field appears twice."})
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		members[key] = v
		p.path = p.path[:len(p.path)-1]
	}
	_, err := p.Token()
	return members, err
}

func (p *jsonParser) checkText(s string) error {
	if strings.IndexByte(s, 0) < 0 {
		return nil
	}
	return errNUL.WithFields(errs.Field{Pointer: pointer(p.path), Code: "nul_character", Message: errNUL.Message})
}

// maxPointerToken keeps a client's endless field name out of our answers.
const maxPointerToken = 100

// pointer returns the JSON pointer (RFC 6901) of a path.
func pointer(path []string) string {
	var b strings.Builder
	for _, token := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscapes.Replace(shorten(token)))
	}
	return b.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func shorten(s string) string {
	if len(s) <= maxPointerToken {
		return s
	}
	return strings.ToValidUTF8(s[:maxPointerToken], "") + "…"
}
