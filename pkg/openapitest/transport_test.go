package openapitest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/problem"
)

const document = `
openapi: 3.0.3
info: { title: t, version: "1" }
servers: [{ url: "https://elsewhere.example" }]
paths:
  /v1/things/{id}:
    get:
      parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
      responses:
        "200":
          description: ok
          headers: { Location: { required: true, schema: { type: string } } }
          content:
            application/json:
              schema:
                type: object
                additionalProperties: false
                required: [n]
                properties: { n: { type: integer } }
            text/event-stream: { schema: { type: string } }
`

// recorder is a test that notes failures, so that they can be looked at.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestOnlyDocumentedResponsesPass(t *testing.T) {
	t.Parallel()
	spec, err := openapi3.NewLoader().LoadFromData([]byte(document))
	require.NoError(t, err)
	const notFound = `{"type":"t","title":"t","status":404,"detail":"d","instance":"/","code":"route_not_found"}`
	for name, c := range map[string]struct {
		path        string
		status      int
		contentType string
		location    string
		body        string
		failure     string // part of it; empty when it must pass
	}{
		"as documented":       {"/v1/things/1", 200, "application/json", "/x", `{"n":1}`, ""},
		"wrong body":          {"/v1/things/1", 200, "application/json", "/x", `{"n":"1"}`, "must be an integer"},
		"unknown field":       {"/v1/things/1", 200, "application/json", "/x", `{"n":1,"m":2}`, `"m" is unsupported`},
		"no JSON":             {"/v1/things/1", 200, "application/json", "/x", `{`, "decode"},
		"missing header":      {"/v1/things/1", 200, "application/json", "", `{"n":1}`, "Location"},
		"wrong content type":  {"/v1/things/1", 200, "text/plain", "/x", "1", "Content-Type"},
		"undocumented status": {"/v1/things/1", 500, "application/json", "/x", `{"n":1}`, "status is not supported"},
		"event stream":        {"/v1/things/1", 200, "text/event-stream", "/x", "data: x\n\n", ""},
		"unknown route":       {"/v2", 404, problem.ContentType, "", notFound, ""},
		"status differs":      {"/v2", 410, problem.ContentType, "", notFound, "incomplete"},
		"no problem":          {"/v2", 404, "text/plain", "", "not found", "no problem"},
		"broken problem":      {"/v2", 404, problem.ContentType, "", "{", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				if c.location != "" {
					w.Header().Set("Location", c.location)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(server.Close)
			noted := &recorder{TB: t}
			client := http.Client{Transport: openapitest.Transport(noted, spec, nil)}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+c.path, nil)
			require.NoError(t, err)
			res, err := client.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, c.body, string(body), "the client still gets all of it")
			if c.failure == "" {
				require.Empty(t, noted.failures)
				return
			}
			require.Len(t, noted.failures, 1)
			require.Contains(t, strings.Join(noted.failures, ""), c.failure)
		})
	}
}
