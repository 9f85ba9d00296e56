// Package openapitest checks in tests that a service keeps its OpenAPI document. It must not know any service.
package openapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/orderflow/orderflow/pkg/problem"
)

// Transport returns a RoundTripper that checks every response (status, headers and body) against the document, and
// fails the test for one that is not as documented. Answers to addresses that are not in the document must be
// problems. The body of an event stream is not checked. A nil base is http.DefaultTransport.
func Transport(tb testing.TB, spec *openapi3.T, base http.RoundTripper) http.RoundTripper {
	tb.Helper()
	if base == nil {
		base = http.DefaultTransport
	}
	anywhere := *spec
	anywhere.Servers = nil // Tests serve at addresses of their own.
	router, err := gorillamux.NewRouter(&anywhere)
	if err != nil {
		tb.Fatalf("openapitest: %v", err)
	}
	return &transport{tb: tb, router: router, base: base}
}

type transport struct {
	tb     testing.TB
	router routers.Router
	base   http.RoundTripper
}

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.tb.Helper()
	res, err := tr.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := tr.check(r, res); err != nil {
		tr.tb.Errorf("openapitest: %s %s answered %d, which is not as documented: %v",
			r.Method, r.URL.Path, res.StatusCode, err)
	}
	return res, nil
}

func (tr *transport) check(r *http.Request, res *http.Response) error {
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	stream := mediaType == "text/event-stream"
	var body []byte
	if !stream {
		var err error
		body, err = io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return fmt.Errorf("the body cannot be read: %w", err)
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	route, params, err := tr.router.FindRoute(r)
	if err != nil {
		return checkProblem(res, mediaType, body)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 res.StatusCode,
		Header:                 res.Header,
		Options: &openapi3filter.Options{
			MultiError: true, IncludeResponseStatus: true, ExcludeResponseBody: stream,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.DisableSchemaErrorDetails()},
		},
	}
	input.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(r.Context(), input); err != nil {
		return fmt.Errorf("%w; the body is %.500s", err, body)
	}
	return nil
}

func checkProblem(res *http.Response, mediaType string, body []byte) error {
	if mediaType != problem.ContentType {
		return fmt.Errorf("it is not in the document, and its answer is %q and no problem", mediaType)
	}
	var d problem.Details
	if err := json.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("the problem cannot be read: %w", err)
	}
	if d.Status != res.StatusCode || d.Code == "" || d.Type == "" || d.Title == "" || d.Detail == "" {
		return fmt.Errorf("the problem is incomplete: %s", body)
	}
	return nil
}
