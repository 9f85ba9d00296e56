package openapitest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/openapitest"
)

func TestTheExampleKeepsTheHouseStyle(t *testing.T) {
	t.Parallel()
	openapitest.HouseStyle(t, exampleWith(t))
}

func TestAPostThatChangesNothingNeedsNoKey(t *testing.T) {
	t.Parallel()
	openapitest.HouseStyle(t, exampleWith(t,
		"name: Idempotency-Key\n      in: header\n      required: true", "name: Idempotency-Key\n      in: header",
		"summary: Makes a widget.", "x-safe: true", "x-stream: true", "x-safe: true"))
}

func TestBreachesOfTheHouseStyleAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, replacement, failure string }{
		"operationId": {"operationId: getWidget", "x-id: a", "GET /v1/widgets/{id} has no operationId"},
		"default": {
			"default: { $ref: \"#/components/responses/Problem\" }\n    post:", "\"404\": { description: none }\n    post:",
			"no default response with a problem",
		},
		"key":     {"name: Idempotency-Key\n      in: header\n      required: true", "name: Idempotency-Key\n      in: header", "does not require Idempotency-Key"},
		"object":  {"Part:\n      type: object\n      additionalProperties: false", "Part:\n      type: object", "body/parts/0 does not say"},
		"integer": {"grams: { type: integer, format: int32 }", "grams: { type: integer }", "body/parts/0/grams is an integer without"},
		"text":    {"sku: { type: string, minLength: 1, maxLength: 64 }", "sku: { type: string }", "body/parts/0/sku is a text without"},
		"invalid": {"title: Orderflow widgets", "title: \"\"", "not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			noted := &recorder{TB: t}
			openapitest.HouseStyle(noted, exampleWith(t, c.old, c.replacement))
			require.NotEmpty(t, noted.failures)
			require.Contains(t, strings.Join(noted.failures, "\n"), c.failure)
		})
	}
}

func exampleWith(t *testing.T, oldnew ...string) *openapi3.T {
	t.Helper()
	raw, err := os.ReadFile("../httpserver/testdata/openapi.yaml")
	require.NoError(t, err)
	if len(oldnew) > 0 {
		require.Contains(t, string(raw), oldnew[0])
	}
	spec, err := openapi3.NewLoader().LoadFromData([]byte(strings.NewReplacer(oldnew...).Replace(string(raw))))
	require.NoError(t, err)
	return spec
}
