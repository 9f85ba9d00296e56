package shipment

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
)

// Validate checks every rule an address obeys before a carrier sees it. It is pure. The error, if any, is
// shipping.ErrAddressInvalid with a field for each broken rule; the pointers are relative to the address.
func Validate(a shipping.Address) error {
	var fields []errs.Field
	check := func(ok bool, pointer, code, message string) {
		if !ok {
			fields = append(fields, errs.Field{Pointer: pointer, Code: code, Message: message})
		}
	}
	line := func(s, pointer string, required bool) {
		if required {
			check(strings.TrimSpace(s) != "", pointer, "required", "must not be empty")
		}
		check(printable(s) && utf8.RuneCountInString(s) <= maxLine, pointer, "invalid",
			fmt.Sprintf("must be a line of at most %d characters", maxLine))
	}
	line(a.Name, "/name", true)
	line(a.Line1, "/line1", true)
	line(a.Line2, "/line2", false)
	line(a.City, "/city", true)
	line(a.Region, "/region", false)
	check(knownCountry(a.Country), "/country", "unknown_country", "must be an ISO 3166-1 alpha-2 code in upper case")
	if pattern := postalPattern(a.Country); strings.TrimSpace(a.PostalCode) == "" {
		check(false, "/postal_code", "required", "must not be empty")
	} else {
		check(pattern.MatchString(a.PostalCode), "/postal_code", "invalid", "must be a postal code of the country")
	}
	if len(fields) == 0 {
		return nil
	}
	return shipping.ErrAddressInvalid.WithFields(fields...)
}

const maxLine = 200

// printable refuses what would break a label or a database: control characters, NUL and broken UTF-8.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// knownCountry asks for the one spelling: ParseRegion also takes lower case, three letters, UN M.49 numbers and
// countries that are no more.
func knownCountry(code string) bool {
	region, err := language.ParseRegion(code)
	return err == nil && region.IsCountry() && region.Canonicalize().String() == code && len(code) == 2
}

var (
	fourDigits  = regexp.MustCompile(`^[0-9]{4}$`)
	fiveDigits  = regexp.MustCompile(`^[0-9]{5}$`)
	zipCode     = regexp.MustCompile(`^[0-9]{5}(-[0-9]{4})?$`)
	britishCode = regexp.MustCompile(`^([A-Z]{1,2}[0-9][A-Z0-9]?|GIR) ?[0-9][A-Z]{2}$`)
	dutchCode   = regexp.MustCompile(`^[1-9][0-9]{3} ?[A-Z]{2}$`)
	anyCode     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 -]{0,19}$`)
)

func postalPattern(country string) *regexp.Regexp {
	switch country {
	case "AT", "CH":
		return fourDigits
	case "DE", "FR":
		return fiveDigits
	case "US":
		return zipCode
	case "GB":
		return britishCode
	case "NL":
		return dutchCode
	default:
		return anyCode
	}
}

// Limits of a shipment.
const (
	maxQuantity  = 1_000_000
	maxItemLines = 100
)

var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// validateRequest checks what Validate does not. It returns shipping.ErrShipmentInvalid or shipping.ErrAddressInvalid,
// both with fields.
func validateRequest(r shipping.BookRequest) error {
	var fields []errs.Field
	check := func(ok bool, pointer, message string) {
		if !ok {
			fields = append(fields, errs.Field{Pointer: pointer, Code: "invalid", Message: message})
		}
	}
	const name = "must be 1 to 64 letters, digits or . _ -"
	check(identifier.MatchString(r.OrderID), "/order_id", name)
	check(identifier.MatchString(r.FulfilmentID), "/fulfilment_id", name)
	check(identifier.MatchString(r.Warehouse), "/warehouse", name)
	check(len(r.Items) >= 1 && len(r.Items) <= maxItemLines, "/items",
		fmt.Sprintf("must hold 1 to %d items", maxItemLines))
	seen := make(map[string]bool, len(r.Items))
	for i, it := range r.Items {
		at := fmt.Sprintf("/items/%d", i)
		check(identifier.MatchString(it.SKU), at+"/sku", name)
		check(!seen[it.SKU], at+"/sku", "must be listed once only")
		seen[it.SKU] = true
		check(it.Quantity >= 1 && it.Quantity <= maxQuantity, at+"/quantity",
			fmt.Sprintf("must be from 1 to %d", maxQuantity))
	}
	if len(fields) > 0 {
		return shipping.ErrShipmentInvalid.WithFields(fields...)
	}
	if err := Validate(r.To); err != nil {
		return beneath("/to", err)
	}
	return nil
}

// beneath moves the pointers of a failure to where its object is in the request.
func beneath(prefix string, err error) error {
	e := errs.From(err)
	fields := make([]errs.Field, len(e.Fields))
	for i, f := range e.Fields {
		f.Pointer = prefix + f.Pointer
		fields[i] = f
	}
	return e.WithFields(fields...)
}
