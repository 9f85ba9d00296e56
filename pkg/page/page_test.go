package page_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/page"
)

var position = page.Position{
	Time: time.Date(2026, 1, 31, 12, 0, 0, 123456000, time.UTC), ID: "ord_019360c2-0000-7000-8000-000000000000",
}

func TestACursorBringsBackItsPosition(t *testing.T) {
	t.Parallel()
	cursor := page.Encode(position, "status=open")
	require.Regexp(t, "^[A-Za-z0-9_-]+$", cursor, "needs no escaping")
	require.Less(t, len(cursor), 256)
	got, err := page.Decode(cursor, "status=open", time.Now())
	require.NoError(t, err)
	require.Equal(t, position, got)

	elsewhere := page.Position{Time: position.Time.In(time.FixedZone("", 3600)), ID: position.ID}
	got, err = page.Decode(page.Encode(elsewhere, ""), "", time.Now())
	require.NoError(t, err)
	require.Equal(t, position, got, "in UTC")
}

func TestACursorExpiresAfterADay(t *testing.T) {
	t.Parallel()
	cursor := page.Encode(position, "")
	_, err := page.Decode(cursor, "", time.Now().Add(page.Lifetime-time.Minute))
	require.NoError(t, err)
	_, err = page.Decode(cursor, "", time.Now().Add(page.Lifetime+time.Minute))
	require.ErrorIs(t, err, page.ErrExpired)
	_, err = page.Decode(cursor, "", time.Now().Add(-time.Hour))
	require.ErrorIs(t, err, page.ErrMalformed, "a cursor from the future")
}

func TestACursorBelongsToItsFilter(t *testing.T) {
	t.Parallel()
	_, err := page.Decode(page.Encode(position, "customer=a"), "customer=b", time.Now())
	require.ErrorIs(t, err, page.ErrFilter)
}

func TestWhatIsNoCursorIsMalformed(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := page.Encode(position, "")
	for _, bad := range []string{
		"", "abc", "ä", good + "=", good[:10], good + "\n", encode("null"), encode("{}"), encode("[1]"), encode(`{"v":1}`),
		encode(`{"v":2,"t":"2026-01-31T12:00:00Z","i":"x","f":null,"m":0}`),
		encode(`{"v":1,"t":"2026-01-31T12:00:00Z","i":"","f":null,"m":0}`),
		encode(`{"v":1,"t":"2026-01-31T12:00:00Z","i":"\u0000","f":null,"m":0}`),
		encode("{\"v\":1,\"t\":\"2026-01-31T12:00:00Z\",\"i\":\"\xff\",\"f\":null,\"m\":0}"),
		encode(`{"v":1,"t":"2026-01-31T12:00:00Z","i":"x","f":null,"m":9223372036854775807}`),
		encode(`{"v":1,"t":"2026-01-31T12:00:00Z","i":"x","f":null,"m":1e400}`),
		encode(`{"v":1,"t":"x","i":"x","f":null,"m":0}`), strings.Repeat("A", 2000),
	} {
		_, err := page.Decode(bad, "", time.Now())
		require.ErrorIs(t, err, page.ErrMalformed, bad)
	}
}

func TestLimitStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	require.Equal(t, 20, page.Limit(nil))
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 50: 50, 100: 100, 101: 100} {
		require.Equal(t, want, page.Limit(&n))
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(page.Encode(position, ""))
	for _, seed := range []string{"", "e30", "bnVsbA", "eyJ2IjoxfQ", "____", "\x00", strings.Repeat("A", 1025)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := page.Decode(s, "", time.Now())
		if err != nil {
			require.NotEqual(t, errs.Internal, errs.From(err).Kind)
			return
		}
		require.NotEmpty(t, got.ID)
		require.True(t, utf8.ValidString(got.ID))
		require.NotContains(t, got.ID, "\x00")
		again, err := page.Decode(page.Encode(got, ""), "", time.Now())
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
