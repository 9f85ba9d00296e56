// Package page cuts lists into pages by keyset: a page starts after the position of the last row of the page before,
// so rows that arrive meanwhile move nothing, and the last page costs as much as the first. It must not know about
// SQL: a Position is what a query compares with, newest first.
package page

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orderflow/orderflow/pkg/errs"
)

// The number of rows on a page.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

// Lifetime is how long a cursor may be used after it was made.
const Lifetime = 24 * time.Hour

const (
	version = 1
	// A cursor that Encode makes for an identifier of ours has about 120 bytes.
	maxCursor = 1024
	// Replicas' clocks may differ by this much.
	clockSkew = 5 * time.Minute
)

// Failures of Decode.
var (
	ErrMalformed = errs.New(errs.Malformed, "cursor_malformed", "The cursor is not one that this list returned.")
	ErrExpired   = errs.New(errs.Invalid, "cursor_expired",
		"The cursor has expired. Please start again at the first page.")
	ErrFilter = errs.New(errs.Invalid, "cursor_filter_mismatch",
		"The cursor belongs to a list with other filters. Please keep the filters while turning pages.")
)

// Position is the place of one row in a list that is ordered by time and, for rows of the same time, by id.
type Position struct {
	Time time.Time
	ID   string
}

type cursor struct {
	Version int       `json:"v"`
	Time    time.Time `json:"t"`
	ID      string    `json:"i"`
	Filter  []byte    `json:"f"`
	Made    int64     `json:"m"` // Unix seconds
}

// Encode returns the cursor of a position. The filter is any text that is the same for every page of one list, such
// as its encoded filters; only a digest of it is kept in the cursor.
func Encode(pos Position, filter string) string {
	raw, err := json.Marshal(cursor{
		Version: version, Time: pos.Time.UTC(), ID: pos.ID, Filter: digest(filter), Made: time.Now().Unix(),
	})
	if err != nil { // Only a year past 9999 cannot be marshalled, and no row has that.
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Decode returns the position in a cursor. It returns ErrMalformed, ErrExpired or ErrFilter.
func Decode(s, filter string, now time.Time) (Position, error) {
	if len(s) > maxCursor || strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return Position{}, ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || !utf8.Valid(raw) {
		return Position{}, ErrMalformed
	}
	var c cursor
	if err := json.Unmarshal(raw, &c); err != nil {
		return Position{}, ErrMalformed.WithCause(err)
	}
	// A NUL would be refused by PostgreSQL, as an internal failure.
	if c.Version != version || c.ID == "" || strings.ContainsRune(c.ID, 0) || c.Time.IsZero() ||
		c.Made > now.Add(clockSkew).Unix() {
		return Position{}, ErrMalformed
	}
	if c.Made < now.Add(-Lifetime).Unix() {
		return Position{}, ErrExpired
	}
	if string(c.Filter) != string(digest(filter)) {
		return Position{}, ErrFilter
	}
	return Position{Time: c.Time.UTC(), ID: c.ID}, nil
}

// Limit returns the number of rows to fetch: n within 1 and MaxLimit, DefaultLimit when n is nil.
func Limit(n *int) int {
	if n == nil {
		return DefaultLimit
	}
	return min(max(*n, 1), MaxLimit)
}

func digest(filter string) []byte {
	sum := sha256.Sum256([]byte(filter))
	return sum[:8]
}
