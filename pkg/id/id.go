// Package id makes identifiers: UUIDv7 (RFC 9562), which sort by time and so keep indexes dense, behind a prefix that
// tells a person what the identifier is of.
package id

import (
	"strings"

	"github.com/google/uuid"
)

// Prefix says what an identifier is of.
type Prefix string

// The prefixes in use.
const (
	Order       Prefix = "ord"
	Payment     Prefix = "pay"
	Refund      Prefix = "rfd"
	Reservation Prefix = "rsv"
	Shipment    Prefix = "shp"
	Event       Prefix = "evt"
)

// New returns a new identifier such as "ord_019360c2-…".
func New(p Prefix) string {
	return string(p) + "_" + uuid.Must(uuid.NewV7()).String()
}

// Valid reports whether s is an identifier with this prefix, in the one spelling that New uses.
func Valid(p Prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, string(p)+"_")
	if !ok || len(rest) != 36 {
		return false
	}
	u, err := uuid.Parse(rest)
	return err == nil && u.String() == rest
}
