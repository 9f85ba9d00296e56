package problem

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/orderflow/orderflow/pkg/errs"
)

// CodeKey is where ErrorHandler leaves the code of the failure in the echo.Context, for the access log.
const CodeKey = "problem.code"

// ErrorHandler answers every error that a handler or a middleware returns, and logs the cause of those that are not
// the client's fault. Errors of echo itself (no such route, wrong method, binding) become problems like all others.
func ErrorHandler(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		req, res := c.Request(), c.Response()
		ctx := req.Context()
		d := fromEcho(err, req.URL.Path)
		c.Set(CodeKey, d.Code)
		if gone(ctx, err) {
			if !res.Committed {
				res.WriteHeader(StatusClientGone)
			}
			return
		}
		if d.Status >= http.StatusInternalServerError {
			level := slog.LevelWarn
			if d.Status == http.StatusInternalServerError {
				level = slog.LevelError
			}
			log.LogAttrs(ctx, level, "request failed", slog.String("code", d.Code), slog.String("method", req.Method),
				slog.String("route", c.Path()), slog.String("request_id", res.Header().Get(echo.HeaderXRequestID)),
				slog.Any("error", err))
		}
		if res.Committed {
			return // The status has been sent already; the connection is cut by whoever wrote half an answer.
		}
		if req.Method == http.MethodHead {
			res.WriteHeader(d.Status)
			return
		}
		if err := Write(res, d); err != nil {
			log.LogAttrs(ctx, slog.LevelDebug, "problem not sent", slog.Any("error", err))
		}
	}
}

// gone reports whether the client no longer waits for an answer.
func gone(ctx context.Context, err error) bool {
	return errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Canceled)
}

// fromEcho adds to From what only echo's own errors carry.
func fromEcho(err error, instance string) Details {
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return From(err, instance)
	}
	he, ok := errors.AsType[*echo.HTTPError](err)
	if !ok {
		return From(err, instance)
	}
	if he.Internal != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](he.Internal); ok {
			return From(he.Internal, instance)
		}
	}
	d := Details{Status: he.Code, Title: http.StatusText(he.Code), Instance: instance}
	switch he.Code {
	case http.StatusNotFound:
		d.Code, d.Detail = "route_not_found", "There is nothing at this address."
	case http.StatusMethodNotAllowed:
		d.Code, d.Detail = "method_not_allowed", "This address does not support the method."
	case http.StatusUnsupportedMediaType:
		d.Code, d.Detail = "media_type_unsupported", "The Content-Type of the body is missing or not supported."
	case http.StatusRequestEntityTooLarge:
		return From(ErrTooLarge, instance)
	case http.StatusBadRequest:
		return From(errs.New(errs.Malformed, "request_malformed", "The request does not have the right form.").
			WithFields(badParameter(he)...), instance)
	default:
		if he.Code < http.StatusBadRequest || he.Code >= http.StatusInternalServerError {
			return From(err, instance)
		}
		d.Code = strings.ReplaceAll(strings.ToLower(d.Title), " ", "_")
		d.Detail = d.Title + "."
	}
	d.Type = TypeBase + d.Code
	return d
}

// badParameter finds the name of the parameter in the errors of handlers that oapi-codegen made. The rest of their
// text is about Go types and not for customers.
func badParameter(he *echo.HTTPError) []errs.Field {
	text, ok := he.Message.(string)
	if !ok {
		return nil
	}
	_, rest, ok := strings.Cut(text, "parameter ")
	if !ok {
		return nil
	}
	name, _, _ := strings.Cut(rest, ":")
	name = strings.Trim(name, "'")
	if name == "" || strings.ContainsAny(name, " \n") {
		return nil
	}
	return []errs.Field{{Pointer: "parameter/" + name, Code: "wrong_type", Message: "The value has the wrong type."}}
}
