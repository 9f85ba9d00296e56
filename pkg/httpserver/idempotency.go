package httpserver

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/idempotency"
)

// HeaderIdempotencyKey names the header that makes an unsafe call safe to repeat.
const HeaderIdempotencyKey = "Idempotency-Key"

const maxIdempotencyKey = 255

var (
	errKeyMissing = errs.New(errs.Malformed, "idempotency_key_missing",
		"This operation needs the header Idempotency-Key.").WithFields(errs.Field{
		Pointer: "header/" + HeaderIdempotencyKey, Code: "required", Message: "This header is required.",
	})
	errKey = errs.New(errs.Malformed, "idempotency_key_malformed",
		"Idempotency-Key must be 1 to 255 visible ASCII characters, and appear once.").WithFields(errs.Field{
		Pointer: "header/" + HeaderIdempotencyKey, Code: "format", Message: "Must be 1 to 255 visible ASCII characters.",
	})
)

// idempotent hands the key of an unsafe request on to the transaction that stores its answer. Handlers see the key
// without quotes.
func idempotent(ops operations) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			op := ops.of(c)
			if op == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
				return next(c)
			}
			values := r.Header.Values(HeaderIdempotencyKey)
			if len(values) == 0 {
				if op.keyNeeded {
					return errKeyMissing
				}
				return next(c)
			}
			if len(values) > 1 {
				return errKey
			}
			key, err := parseIdempotencyKey(values[0])
			if err != nil {
				return err
			}
			r.Header.Set(HeaderIdempotencyKey, key)
			body, _ := c.Get(bodyKey).([]byte)
			c.SetRequest(r.WithContext(idempotency.WithRequest(r.Context(), idempotency.Request{
				Caller: caller.From(r.Context()).Subject, Key: key, Fingerprint: fingerprint(r, body),
			})))
			return next(c)
		}
	}
}

// parseIdempotencyKey accepts a quoted string as in the IETF draft (a structured field, RFC 9651) and the bare text
// that many clients send. Both spellings of a text are the same key.
func parseIdempotencyKey(header string) (string, error) {
	key := header
	if inner, ok := strings.CutPrefix(header, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		if !ok {
			return "", errKey
		}
		var b strings.Builder
		for i := 0; i < len(inner); i++ {
			switch inner[i] {
			case '"':
				return "", errKey
			case '\\':
				i++
				if i == len(inner) || (inner[i] != '"' && inner[i] != '\\') {
					return "", errKey
				}
			}
			b.WriteByte(inner[i])
		}
		key = b.String()
	}
	if len(key) > maxIdempotencyKey || !visibleASCII(key) {
		return "", errKey
	}
	return key, nil
}

// fingerprint tells requests with the same key apart. A streamed body has not been read yet; its length and the
// digest that the client may declare (RFC 9530) stand for it.
func fingerprint(r *http.Request, body []byte) []byte {
	h := sha256.New()
	part := func(data []byte) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(data)))
		h.Write(length[:])
		h.Write(data)
	}
	part([]byte(r.Method))
	part([]byte(r.URL.Path))
	part(body)
	if body == nil && r.ContentLength != 0 {
		part(strconv.AppendInt(nil, r.ContentLength, 10))
		part([]byte(r.Header.Get("Content-Digest")))
	}
	return h.Sum(nil)
}
