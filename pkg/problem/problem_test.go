package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/problem"
)

func TestEveryKindHasItsStatus(t *testing.T) {
	t.Parallel()
	for kind, status := range map[errs.Kind]int{
		errs.Malformed: 400, errs.Unauthenticated: 401, errs.Declined: 402, errs.Forbidden: 403, errs.NotFound: 404,
		errs.Conflict: 409, errs.TooLarge: 413, errs.Invalid: 422, errs.Internal: 500, errs.Unavailable: 503,
		errs.OutcomeUnknown: 503, "a kind of tomorrow": 500,
	} {
		d := problem.From(fmt.Errorf("wrapped: %w", errs.New(kind, "some_code", "A sentence.")), "/v1/orders")
		require.Equal(t, status, d.Status, kind)
		require.NotEmpty(t, d.Title, kind)
	}
}

func TestAProblemShowsWhatIsMeantForClientsOnly(t *testing.T) {
	t.Parallel()
	field := errs.Field{Pointer: "/lines/0/quantity", Code: "out_of_range", Message: "Must be at least 1."}
	d := problem.From(errs.New(errs.Invalid, "order_invalid", "The order breaks a rule.").
		WithFields(field).WithCause(io.ErrUnexpectedEOF), "/v1/orders")
	require.Equal(t, problem.Details{
		Type: "https://orderflow.dev/problems/order_invalid", Title: "Invalid request", Status: 422,
		Detail: "The order breaks a rule.", Instance: "/v1/orders", Code: "order_invalid", Errors: []errs.Field{field},
	}, d)

	raw, err := json.Marshal(problem.From(errors.New("password=hunter2"), "/"))
	require.NoError(t, err)
	require.NotContains(t, string(raw), "hunter2")
	require.NotContains(t, string(raw), "errors")

	require.Equal(t, 413, problem.From(fmt.Errorf("csv: %w", &http.MaxBytesError{Limit: 1}), "/").Status)
}

func TestErrorsOfEchoBecomeProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err     error
		status  int
		code    string
		pointer string
	}{
		"no route":   {echo.ErrNotFound, 404, "route_not_found", ""},
		"method":     {echo.ErrMethodNotAllowed, 405, "method_not_allowed", ""},
		"media type": {echo.ErrUnsupportedMediaType, 415, "media_type_unsupported", ""},
		"size":       {echo.ErrStatusRequestEntityTooLarge, 413, "body_too_large", ""},
		"busy":       {echo.ErrTooManyRequests, 429, "too_many_requests", ""},
		"server":     {echo.ErrInternalServerError, 500, "internal", ""},
		"strange":    {echo.NewHTTPError(200, "x"), 500, "internal", ""},
		"binding": {
			echo.NewHTTPError(400, "Invalid format for parameter limit: strconv: go internals"), 400, "request_malformed",
			"parameter/limit",
		},
		"binding JSON":    {echo.NewHTTPError(400, "Error unmarshaling parameter 'f' as JSON"), 400, "request_malformed", ""},
		"binding, opaque": {echo.NewHTTPError(400, 7), 400, "request_malformed", ""},
		"wrapped failure": {
			echo.NewHTTPError(400).SetInternal(errs.New(errs.Conflict, "order_closed", "The order is closed.")), 409, "order_closed",
			"",
		},
		"limit in binding": {echo.NewHTTPError(400, "x").SetInternal(&http.MaxBytesError{}), 413, "body_too_large", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			c2 := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x?q=1", nil), w)
			problem.ErrorHandler(slog.New(slog.DiscardHandler))(c.err, c2)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, problem.ContentType, w.Header().Get("Content-Type"))
			var d problem.Details
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
			require.Equal(t, c.code, d.Code)
			require.Equal(t, c.status, d.Status)
			require.Equal(t, "/v1/x", d.Instance)
			require.NotEmpty(t, d.Detail)
			require.NotContains(t, d.Detail, "strconv")
			if c.pointer != "" {
				require.Equal(t, c.pointer, d.Errors[0].Pointer)
			}
		})
	}
}

func TestAnAnswerThatHasBegunIsNotSpoilt(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), w)
	require.NoError(t, c.String(http.StatusOK, "half"))
	problem.ErrorHandler(slog.New(slog.DiscardHandler))(io.ErrUnexpectedEOF, c)
	require.Equal(t, "half", w.Body.String())
}
