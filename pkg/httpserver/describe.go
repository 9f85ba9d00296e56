package httpserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"

	"github.com/orderflow/orderflow/pkg/errs"
)

// schemaOptions make validation go on after the first bad value, and keep the schema out of error texts. The formats
// are read by the very functions that decode them later, so that decoding cannot fail behind validation.
var schemaOptions = []openapi3.SchemaValidationOption{
	openapi3.MultiErrors(),
	openapi3.DisableSchemaErrorDetails(),
	openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
		"date-time": openapi3.NewCallbackValidator(isDateTime),
		"date":      openapi3.NewCallbackValidator(isDate),
		"uuid":      openapi3.NewCallbackValidator(uuid.Validate),
		"email":     openapi3.NewCallbackValidator(isEmail),
	}),
}

var bodyOptions = append(slices.Clip(schemaOptions), openapi3.VisitAsRequest())

var parameterOptions = &openapi3filter.Options{
	MultiError: true, SkipSettingDefaults: true, SchemaValidationOptions: schemaOptions,
}

var dateTimeForm = openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringDateTime)

func isDateTime(s string) error {
	if err := dateTimeForm.Validate(s); err != nil { // Package time takes more than RFC 3339, such as 1:00:00,5.
		return err
	}
	return new(time.Time).UnmarshalText([]byte(s))
}

func isDate(s string) error {
	_, err := time.Parse(time.DateOnly, s)
	return err
}

func isEmail(s string) error {
	_, err := mail.ParseAddress(s)
	return err
}

// describeBody adds what is wrong with a JSON body.
func describeBody(schema *openapi3.Schema, value any, found *findings) {
	inexact := map[string]bool{}
	checkIntegers(schema, value, nil, func(kind errs.Kind, f errs.Field) {
		if !inexact[f.Pointer] {
			inexact[f.Pointer] = true
			found.add(kind, f)
		}
	})
	describe(schema.VisitJSON(value, bodyOptions...), func(e *openapi3.SchemaError) {
		kind, field := sentence(e)
		if !inexact[field.Pointer] {
			found.add(kind, field)
		}
	})
}

// describeParameter adds what is wrong with a parameter.
func describeParameter(err error, where string, found *findings) {
	if slices.ContainsFunc(found.fields, func(f errs.Field) bool { return f.Pointer == where }) {
		return
	}
	if errors.Is(err, openapi3filter.ErrInvalidRequired) {
		found.add(errs.Malformed, errs.Field{Pointer: where, Code: "required", Message: "This parameter is required."})
		return
	}
	if errors.Is(err, openapi3filter.ErrInvalidEmptyValue) {
		found.add(errs.Malformed, errs.Field{Pointer: where, Code: "empty", Message: "The parameter has no value."})
		return
	}
	if parse, ok := errors.AsType[*openapi3filter.ParseError](err); ok {
		message := "The value has the wrong type."
		if what, ok := strings.CutPrefix(parse.Reason, "an invalid "); ok {
			message = fmt.Sprintf("Must be %s.", typeNames(what))
		}
		found.add(errs.Malformed, errs.Field{Pointer: where, Code: "wrong_type", Message: message})
		return
	}
	before := len(found.fields)
	describe(err, func(e *openapi3.SchemaError) {
		kind, field := sentence(e)
		field.Pointer = where + field.Pointer
		found.add(kind, field)
	})
	if len(found.fields) == before {
		found.add(errs.Malformed, errs.Field{Pointer: where, Code: "wrong_type", Message: "The value has the wrong type."})
	}
}

// describe visits the schema errors in an error of kin-openapi, which nests them in several ways.
func describe(err error, each func(*openapi3.SchemaError)) {
	if err == nil {
		return
	}
	if many, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, one := range many {
			describe(one, each)
		}
		return
	}
	if e, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		if e.SchemaField == "allOf" && e.Origin != nil {
			if inner, ok := errors.AsType[*openapi3.SchemaError](e.Origin); ok {
				e = inner
			}
		}
		each(e)
	}
}

// checkIntegers finds what validation lets pass because it compares floats: integers beyond 64 (or 32) bits, and
// those written as 1.0 or 1e3, which do not decode into an integer.
func checkIntegers(schema *openapi3.Schema, value any, path []string, add func(errs.Kind, errs.Field)) {
	if schema == nil {
		return
	}
	for _, part := range schema.AllOf {
		checkIntegers(part.Value, value, path, add)
	}
	switch v := value.(type) {
	case json.Number:
		if !schema.Type.Is(openapi3.TypeInteger) {
			return
		}
		bits := 64
		if schema.Format == "int32" {
			bits = 32
		}
		_, err := strconv.ParseInt(v.String(), 10, bits)
		if errors.Is(err, strconv.ErrRange) {
			add(errs.Malformed, errs.Field{
				Pointer: pointer(path), Code: "out_of_range", Message: "The number is too large to be handled exactly.",
			})
		} else if err != nil {
			add(errs.Malformed, errs.Field{
				Pointer: pointer(path), Code: "wrong_type",
				Message: "Must be a whole number, written with digits only.",
			})
		}
	case []any:
		if schema.Items == nil {
			return
		}
		for i, item := range v {
			checkIntegers(schema.Items.Value, item, append(path, strconv.Itoa(i)), add)
		}
	case map[string]any:
		for name, member := range v {
			if property := schema.Properties[name]; property != nil {
				checkIntegers(property.Value, member, append(path, name), add)
			} else if rest := schema.AdditionalProperties.Schema; rest != nil {
				checkIntegers(rest.Value, member, append(path, name), add)
			}
		}
	}
}

// sentence says in words for customers which rule of the schema a value breaks. Rules that decide whether the value
// can be read at all are malformed, the others invalid.
func sentence(e *openapi3.SchemaError) (errs.Kind, errs.Field) {
	path := e.JSONPointer()
	malformed := func(code, message string) (errs.Kind, errs.Field) {
		return errs.Malformed, errs.Field{Pointer: pointer(path), Code: code, Message: message}
	}
	invalid := func(code, format string, args ...any) (errs.Kind, errs.Field) {
		return errs.Invalid, errs.Field{Pointer: pointer(path), Code: code, Message: fmt.Sprintf(format, args...)}
	}
	s := e.Schema
	switch e.SchemaField {
	case "type":
		return malformed("wrong_type", fmt.Sprintf("Must be %s.", typeNames(s.Type.Slice()...)))
	case "nullable":
		return malformed("null", "Must not be null.")
	case "properties":
		path = append(path, unknownProperty(e))
		return malformed("unknown_field", "This field is not known.")
	case "format":
		return malformed("format", fmt.Sprintf("Must be %s.", formatName(s.Format)))
	case "required":
		return invalid("required", "This field is required.")
	case "readOnly":
		return invalid("read_only", "This field is set by the server.")
	case "enum":
		if e.Value == nil {
			return malformed("null", "Must not be null.")
		}
		return invalid("unknown_value", "Must be one of: %s.", list(s.Enum))
	case "pattern":
		return invalid("pattern", "Must match %s.", s.Pattern)
	case "minLength":
		if s.MinLength == 1 {
			return invalid("too_short", "Must not be empty.")
		}
		return invalid("too_short", "Must have at least %d characters.", s.MinLength)
	case "maxLength":
		return invalid("too_long", "Must have at most %d characters.", *s.MaxLength)
	case "minimum":
		return invalid("out_of_range", "Must be at least %s.", number(*s.Min))
	case "maximum":
		return invalid("out_of_range", "Must be at most %s.", number(*s.Max))
	case "exclusiveMinimum", "exclusiveMaximum":
		return invalid("out_of_range", "Must be %s.", strings.TrimPrefix(e.Reason, "number must be "))
	case "multipleOf":
		return invalid("out_of_range", "Must be a multiple of %s.", number(*s.MultipleOf))
	case "minItems":
		return invalid("too_few", "Must have at least %d items.", s.MinItems)
	case "maxItems":
		return invalid("too_many", "Must have at most %d items.", *s.MaxItems)
	case "minProperties":
		return invalid("too_few", "Must have at least %d fields.", s.MinProps)
	case "maxProperties":
		return invalid("too_many", "Must have at most %d fields.", *s.MaxProps)
	case "uniqueItems":
		return invalid("duplicate", "Must not hold the same item twice.")
	default:
		return invalid("shape", "Has none of the allowed shapes.")
	}
}

// unknownProperty finds the name in the only place where kin-openapi has it, the text.
func unknownProperty(e *openapi3.SchemaError) string {
	quoted := strings.TrimSuffix(strings.TrimPrefix(e.Reason, "property "), " is unsupported")
	if name, err := strconv.Unquote(quoted); err == nil {
		return name
	}
	return quoted
}

func typeNames(types ...string) string {
	names := make([]string, len(types))
	for i, t := range types {
		switch t {
		case openapi3.TypeInteger:
			names[i] = "a whole number"
		case openapi3.TypeNumber:
			names[i] = "a number"
		case openapi3.TypeBoolean:
			names[i] = "true or false"
		case openapi3.TypeArray:
			names[i] = "a list"
		case openapi3.TypeObject:
			names[i] = "an object"
		default:
			names[i] = "text"
		}
	}
	return strings.Join(names, " or ")
}

func formatName(format string) string {
	switch format {
	case "date-time":
		return "a date and time as in RFC 3339, such as 2026-01-31T12:00:00Z"
	case "date":
		return "a date such as 2026-01-31"
	case "uuid":
		return "a UUID"
	case "email":
		return "an e-mail address"
	default:
		return "in the format " + format
	}
}

func list(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ")
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
