// Package seal encrypts what must not be read on its way: names, addresses and payment tokens in events and workflow
// payloads. It is AES-256-GCM (NIST SP 800-38D) with keys that only the platform's processes hold.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownKey means that something was sealed with a key that this process does not hold (any more).
var ErrUnknownKey = errors.New("seal: unknown key")

// ErrMalformed means that something is not sealed, or was changed since.
var ErrMalformed = errors.New("seal: malformed or tampered")

// Keyring holds named keys. The first seals; all open, so that a new key is put in front and an old one stays until
// nothing sealed with it is left.
type Keyring struct {
	first string
	keys  map[string]cipher.AEAD
}

// ParseKeyring reads "name:base64,name:base64,…". Each key is 32 bytes in standard base64.
func ParseKeyring(s string) (Keyring, error) {
	k := Keyring{keys: map[string]cipher.AEAD{}}
	for i, entry := range strings.Split(s, ",") {
		name, encoded, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if !ok || name == "" || len(name) > 255 {
			return Keyring{}, fmt.Errorf("seal: key %d is not of the form name:base64", i+1)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) != 32 {
			return Keyring{}, fmt.Errorf("seal: key %q is not 32 bytes in base64", name)
		}
		if _, twice := k.keys[name]; twice {
			return Keyring{}, fmt.Errorf("seal: key %q is there twice", name)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return Keyring{}, fmt.Errorf("seal: key %q: %w", name, err)
		}
		if k.keys[name], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return Keyring{}, fmt.Errorf("seal: key %q: %w", name, err)
		}
		if i == 0 {
			k.first = name
		}
	}
	return k, nil
}

// NewKey returns a random key under a name, in the form that ParseKeyring reads.
func NewKey(name string) string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // It never fails: crypto/rand ends the program rather than return an error.
	return name + ":" + base64.StdEncoding.EncodeToString(key[:])
}

// Seal encrypts plain. The result is: length of the key's name, the name, nonce and ciphertext.
func (k Keyring) Seal(plain []byte) ([]byte, error) {
	aead, ok := k.keys[k.first]
	if !ok {
		return nil, ErrUnknownKey
	}
	header := append([]byte{byte(len(k.first))}, k.first...) //nolint:gosec // ParseKeyring limits a name to 255 bytes.
	//nolint:gosec // The nonce is nil because this AEAD draws its own.
	return aead.Seal(header, nil, plain, header), nil
}

// Open decrypts what Seal made, or returns ErrUnknownKey or ErrMalformed.
func (k Keyring) Open(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || len(sealed) < 1+int(sealed[0]) {
		return nil, ErrMalformed
	}
	header := sealed[:1+int(sealed[0])]
	aead, ok := k.keys[string(header[1:])]
	if !ok {
		return nil, ErrUnknownKey
	}
	plain, err := aead.Open(nil, nil, sealed[len(header):], header)
	if err != nil {
		return nil, ErrMalformed
	}
	return plain, nil
}
