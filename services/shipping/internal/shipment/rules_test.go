package shipment_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/services/shipping"
	"github.com/orderflow/orderflow/services/shipping/internal/shipment"
)

func TestEveryPairOfStates(t *testing.T) {
	t.Parallel()
	legal := map[shipment.State][]shipment.State{
		"booking":    {"booked", "cancelled"},
		"booked":     {"dispatched", "cancelled"},
		"dispatched": {"in_transit", "delivered", "returned", "lost"},
		"in_transit": {"delivered", "returned", "lost"},
		"delivered":  {"returned"},
	}
	for _, from := range shipment.States() {
		for _, to := range shipment.States() {
			err := shipment.Move(from, to)
			if slices.Contains(legal[from], to) {
				require.NoError(t, err, "%s to %s", from, to)
				continue
			}
			require.ErrorIs(t, err, shipment.ErrIllegalMove, "%s to %s", from, to)
			require.Contains(t, errs.From(err).Message, string(from))
			require.Contains(t, errs.From(err).Message, string(to))
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	good := shipping.Address{Name: "Ada", Line1: "Street 1", City: "Town", PostalCode: "10115", Country: "DE"}
	at := func(country, postalCode string) func(*shipping.Address) {
		return func(a *shipping.Address) { a.Country, a.PostalCode = country, postalCode }
	}
	for name, c := range map[string]struct {
		change func(*shipping.Address)
		fields []string
	}{
		"Germany":              {at("DE", "10115"), nil},
		"Germany, four digits": {at("DE", "1011"), []string{"/postal_code"}},
		"Germany, a newline":   {at("DE", "10115\n"), []string{"/postal_code"}},
		"Austria":              {at("AT", "1010"), nil},
		"Austria, five digits": {at("AT", "10100"), []string{"/postal_code"}},
		"Switzerland":          {at("CH", "8001"), nil},
		"France":               {at("FR", "75001"), nil},
		"Britain":              {at("GB", "SW1A 1AA"), nil},
		"Britain, no space":    {at("GB", "M11AE"), nil},
		"Britain, digits":      {at("GB", "12345"), []string{"/postal_code"}},
		"United States":        {at("US", "94107"), nil},
		"United States, ZIP+4": {at("US", "94107-1234"), nil},
		"United States, long":  {at("US", "941071"), []string{"/postal_code"}},
		"Netherlands":          {at("NL", "1012 AB"), nil},
		"Netherlands, digits":  {at("NL", "1012"), []string{"/postal_code"}},
		"elsewhere":            {at("JP", "100-0001"), nil},
		"elsewhere, nonsense":  {at("JP", "<script>"), []string{"/postal_code"}},
		"no postal code":       {at("JP", " "), []string{"/postal_code"}},
		"no country":           {at("", "10115"), []string{"/country"}},
		"unknown country":      {at("XX", "10115"), []string{"/country"}},
		"no region of a kind":  {at("ZZ", "10115"), []string{"/country"}},
		"not a country":        {at("EU", "10115"), []string{"/country"}},
		"lower case":           {at("de", "10115"), []string{"/country"}},
		"three letters":        {at("DEU", "10115"), []string{"/country"}},
		"a number":             {at("276", "10115"), []string{"/country"}},
		"former country":       {at("DD", "10115"), []string{"/country"}},
		"no name":              {func(a *shipping.Address) { a.Name = "" }, []string{"/name"}},
		"blank line":           {func(a *shipping.Address) { a.Line1 = " \t" }, []string{"/line1", "/line1"}},
		"NUL":                  {func(a *shipping.Address) { a.City = "a\x00b" }, []string{"/city"}},
		"bad UTF-8":            {func(a *shipping.Address) { a.Region = "\xff" }, []string{"/region"}},
		"long":                 {func(a *shipping.Address) { a.Line2 = strings.Repeat("ä", 201) }, []string{"/line2"}},
		"just not long":        {func(a *shipping.Address) { a.Line2 = strings.Repeat("ä", 200) }, nil},
		"several": {
			func(a *shipping.Address) { *a = shipping.Address{} },
			[]string{"/name", "/line1", "/city", "/country", "/postal_code"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := good
			c.change(&a)
			err := shipment.Validate(a)
			if c.fields == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, shipping.ErrAddressInvalid)
			var fields []string
			for _, f := range errs.From(err).Fields {
				fields = append(fields, f.Pointer)
			}
			require.Equal(t, c.fields, fields)
		})
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("Ada", "Street 1", "Town", "10115", "DE")
	f.Add("", "\x00", "\xff", " ", "ZZ")
	f.Fuzz(func(t *testing.T, name, line1, city, postalCode, country string) {
		a := shipping.Address{Name: name, Line1: line1, City: city, PostalCode: postalCode, Country: country}
		err := shipment.Validate(a)
		if err != nil {
			require.NotEmpty(t, errs.From(err).Fields)
			return
		}
		for _, s := range []string{name, line1, city, postalCode, country} {
			require.NotContains(t, s, "\x00")
		}
	})
}
