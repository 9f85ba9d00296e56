package seal_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/orderflow/orderflow/pkg/seal"
)

func keyring(tb testing.TB, s string) seal.Keyring {
	tb.Helper()
	k, err := seal.ParseKeyring(s)
	require.NoError(tb, err)
	return k
}

func TestWhatIsSealedCannotBeReadAndOpensAgain(t *testing.T) {
	t.Parallel()
	k := keyring(t, seal.NewKey("2026"))
	sealed, err := k.Seal([]byte("Ada Lovelace"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "Ada")

	plain, err := k.Open(sealed)
	require.NoError(t, err)
	require.Equal(t, "Ada Lovelace", string(plain))
}

func TestAnOldKeyOpensUntilItIsTakenOut(t *testing.T) {
	t.Parallel()
	oldKey, newKey := seal.NewKey("old"), seal.NewKey("new")
	sealed, err := keyring(t, oldKey).Seal([]byte("x"))
	require.NoError(t, err)

	_, err = keyring(t, newKey+","+oldKey).Open(sealed)
	require.NoError(t, err)
	_, err = keyring(t, newKey).Open(sealed)
	require.ErrorIs(t, err, seal.ErrUnknownKey)
}

func TestAnyChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	k := keyring(t, seal.NewKey("k"))
	sealed, err := k.Seal([]byte("amount=1"))
	require.NoError(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := k.Open(changed)
		require.Error(t, err, "byte %d", i)
	}
}

func TestBadKeyringsAreRefused(t *testing.T) {
	t.Parallel()
	good := seal.NewKey("a")
	for _, bad := range []string{"", "a", ":AAAA", "a:AAAA", "a:###", good + "," + good} {
		_, err := seal.ParseKeyring(bad)
		require.Error(t, err, bad)
	}
}

func TestCodecSealsPayloadsAndPassesPlainOnesThrough(t *testing.T) {
	t.Parallel()
	k := keyring(t, seal.NewKey("k"))
	sealed := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), k.Codec())

	p, err := sealed.ToPayload("Ada Lovelace")
	require.NoError(t, err)
	require.NotContains(t, p.String(), "Ada")
	var back string
	require.NoError(t, sealed.FromPayload(p, &back))
	require.Equal(t, "Ada Lovelace", back)

	plain, err := converter.GetDefaultDataConverter().ToPayload("before")
	require.NoError(t, err)
	require.NoError(t, sealed.FromPayload(plain, &back))
	require.Equal(t, "before", back)
}

func FuzzOpen(f *testing.F) {
	k := keyring(f, seal.NewKey("k"))
	sealed, err := k.Seal([]byte("x"))
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte{255})
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = k.Open(b) }) // It must not panic.
}
