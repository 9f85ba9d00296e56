package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/problem"
)

// readTimeout is how long a client may take to send a body that is read as a whole. Streams have streamTimeout.
const (
	readTimeout   = 30 * time.Second
	streamTimeout = 10 * time.Minute
)

// maxFields is the largest number of bad values that one answer lists.
const maxFields = 100

var (
	errMalformed = errs.New(errs.Malformed, "request_malformed", "The request does not have the right form.")
	errInvalid   = errs.New(errs.Invalid, "request_invalid", "The request breaks a rule.")
	errQuery     = errs.New(errs.Malformed, "query_malformed", "The query of the address cannot be read.")
	errPath      = errs.New(errs.Malformed, "path_malformed", "The path of the address cannot be read.")
	errNoBody    = errs.New(errs.Malformed, "body_missing", "The request needs a body.")
	errBody      = errs.New(errs.Malformed, "body_unexpected", "This operation takes no body.")
	errBroken    = errs.New(errs.Malformed, "body_incomplete", "The body ended too early or came too slowly.")
)

// bodyKey is where the body waits for the binder.
const bodyKey = "httpserver.body"

// readableURL refuses paths and queries that are no text. It comes before everything that handles them as text.
func readableURL(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if err := checkText(u.Path, errPath); err != nil {
			return err
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return errQuery.WithCause(err)
		}
		for name, values := range query {
			for _, text := range append(values, name) {
				if err := checkText(text, errQuery); err != nil {
					return err
				}
			}
		}
		return next(c)
	}
}

func checkText(s string, what *errs.Error) error {
	if !utf8.ValidString(s) {
		return what.WithCause(errUTF8)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return errNUL
	}
	return nil
}

// validate checks a request against its operation, reports all bad values at once, and leaves the body for the
// binder. Requests for which there is no operation go on, with a limited body, to echo's 404 and 405.
func validate(ops operations, bodyLimit int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			op := ops.of(c)
			if op == nil {
				r := c.Request()
				r.Body = http.MaxBytesReader(c.Response(), r.Body, bodyLimit)
				return next(c)
			}
			joinPrefer(c.Request().Header)
			var found findings
			if err := op.checkParameters(c, &found); err != nil {
				return err
			}
			if err := op.checkBody(c, &found); err != nil {
				return err
			}
			if err := found.err(); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// findings are the bad values of one request.
type findings struct {
	malformed bool
	fields    []errs.Field
}

func (f *findings) add(kind errs.Kind, field errs.Field) {
	f.malformed = f.malformed || kind == errs.Malformed
	f.fields = append(f.fields, field)
}

func (f *findings) err() error {
	if len(f.fields) == 0 {
		return nil
	}
	failure := errInvalid
	if f.malformed {
		failure = errMalformed
	}
	return failure.WithFields(f.fields[:min(len(f.fields), maxFields)]...)
}

func (op *operation) checkParameters(c echo.Context, found *findings) error {
	r := c.Request()
	query := c.QueryParams()
	for name, values := range query {
		list, known := op.query[name]
		switch {
		case !known:
			found.add(errs.Malformed, errs.Field{
				Pointer: "query/" + shorten(name), Code: "unknown_parameter", Message: "This parameter is not known.",
			})
		case len(values) > 1 && !list:
			found.add(errs.Malformed, errs.Field{
				Pointer: "query/" + name, Code: "repeated", Message: "The parameter must appear once.",
			})
		}
	}
	slices.SortFunc(found.fields, func(a, b errs.Field) int { return strings.Compare(a.Pointer, b.Pointer) })

	input := &openapi3filter.RequestValidationInput{
		Request: r, QueryParams: query, Route: op.route, PathParams: map[string]string{}, Options: parameterOptions,
	}
	for i, name := range c.ParamNames() {
		value := c.ParamValues()[i]
		if r.URL.RawPath != "" { // Echo then routes by the raw path and leaves its values escaped.
			var err error
			if value, err = url.PathUnescape(value); err != nil {
				return errPath.WithCause(err)
			}
		}
		input.PathParams[name] = value
	}
	for _, p := range op.parameters {
		if p.In == "header" {
			if values := r.Header.Values(p.Name); len(values) > 0 && !utf8.ValidString(strings.Join(values, "")) {
				return errUTF8
			}
		}
		if err := openapi3filter.ValidateParameter(r.Context(), input, p); err != nil {
			describeParameter(err, p.In+"/"+p.Name, found)
		}
	}
	return nil
}

func (op *operation) checkBody(c echo.Context, found *findings) error {
	r := c.Request()
	if op.body == nil {
		if r.ContentLength == 0 {
			return nil
		}
		if err := setReadDeadline(c, readTimeout); err != nil {
			return err
		}
		if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n > 0 {
			return errBody
		}
		return setReadDeadline(c, 0)
	}
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		if op.body.Required {
			return errNoBody
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	schema, ok := op.media[mediaType]
	if err != nil || !ok || r.Header.Get(echo.HeaderContentEncoding) != "" {
		return echo.ErrUnsupportedMediaType
	}
	if r.ContentLength > op.bodyLimit {
		// The rest of the body is not worth the reading.
		c.Response().Header().Set(echo.HeaderConnection, "close")
		return tooLarge(op.bodyLimit)
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, op.bodyLimit)
	if op.stream {
		r.Body = clientBody{ReadCloser: r.Body, limit: op.bodyLimit}
		return setReadDeadline(c, streamTimeout)
	}

	body, err := readAll(c, op.bodyLimit)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.Set(bodyKey, body)
	if len(body) == 0 {
		if op.body.Required {
			return errNoBody
		}
		return nil
	}
	if !isJSON(mediaType) {
		if !utf8.Valid(body) {
			return errUTF8
		}
		return nil
	}
	value, err := parseJSON(body)
	if err != nil {
		return err
	}
	describeBody(schema, value, found)
	return nil
}

func readAll(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	if err := setReadDeadline(c, readTimeout); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, limit)) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(clientBody{ReadCloser: r.Body, limit: limit}); err != nil {
		return nil, err
	}
	return buf.Bytes(), setReadDeadline(c, 0)
}

// clientBody says as a failure of the client's why a body cannot be read, so that it never looks like one of ours.
type clientBody struct {
	io.ReadCloser
	limit int64
}

func (b clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return n, tooLarge(b.limit)
	}
	return n, errBroken.WithCause(err)
}

// setReadDeadline limits reading of the body, not of the whole request: waiting for an answer takes what it takes.
func setReadDeadline(c echo.Context, timeout time.Duration) error {
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	err := http.NewResponseController(c.Response().Writer).SetReadDeadline(deadline)
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // A recorder in a test has no connection.
		return errBroken.WithCause(err)
	}
	return nil
}

func tooLarge(limit int64) error {
	return problem.ErrTooLarge.WithMessage("The body is larger than the %d bytes that this operation accepts.", limit)
}

func isJSON(mediaType string) bool {
	return mediaType == echo.MIMEApplicationJSON || strings.HasSuffix(mediaType, "+json")
}

// binder decodes the body that validate has read and checked.
type binder struct{}

// Bind is called by the generated handlers for JSON bodies. io.EOF tells them that an optional one was left out.
func (binder) Bind(into any, c echo.Context) error {
	body, ok := c.Get(bodyKey).([]byte)
	if !ok {
		return io.EOF
	}
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return errMalformed.WithCause(err).WithFields(errs.Field{
			Pointer: pointer(strings.Split(wrong.Field, ".")), Code: "wrong_type", Message: "The value has the wrong type.",
		})
	}
	return errMalformed.WithCause(err)
}
