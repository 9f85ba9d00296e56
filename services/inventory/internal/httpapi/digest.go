package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/orderflow/orderflow/pkg/errs"
)

var (
	errDigestMissing = errs.New(errs.Malformed, "content_digest_missing",
		"An import with an Idempotency-Key needs the sha-256 of its body in the header Content-Digest.").
		WithFields(digestField("required", "This header is required with an Idempotency-Key."))
	errDigestMalformed = errs.New(errs.Malformed, "content_digest_malformed",
		"The sha-256 in the header Content-Digest cannot be read.").
		WithFields(digestField("format", "It must be sha-256=:…: with the 32 bytes of the digest in base64."))
	errDigestMismatch = errs.New(errs.Malformed, "content_digest_mismatch",
		"Nothing was imported, because the body is not the one that Content-Digest is about.").
		WithFields(digestField("mismatch", "It must be the digest of the body."))
)

func digestField(code, message string) errs.Field {
	return errs.Field{Pointer: "header/Content-Digest", Code: code, Message: message}
}

// checkedBody returns the body of an import, whose last read fails if it is not what its digest says. With an
// Idempotency-Key there must be a digest: it is what tells this import from others in the fingerprint of the request.
func checkedBody(r ImportStockRequestObject) (io.Reader, error) {
	var want []byte
	if r.Params.ContentDigest != nil {
		var err error
		if want, err = sha256In(*r.Params.ContentDigest); err != nil {
			return nil, err
		}
	}
	switch {
	case want != nil:
		return &digested{body: r.Body, sum: sha256.New(), want: want}, nil
	case r.Params.IdempotencyKey != nil:
		return nil, errDigestMissing
	default:
		return r.Body, nil
	}
}

// sha256In returns the SHA-256 in a Content-Digest (RFC 9530): a list of algorithms, each with its bytes in base64
// between colons. As with all dictionaries of structured fields the last one counts. Other algorithms are passed over;
// it returns nil where there is nothing else.
func sha256In(header string) ([]byte, error) {
	var sum []byte
	for member := range strings.SplitSeq(header, ",") { // No algorithm has a comma in its name, nor base64.
		encoded, ok := strings.CutPrefix(strings.Trim(member, " \t"), "sha-256=")
		if !ok {
			continue
		}
		encoded, opened := strings.CutPrefix(encoded, ":")
		encoded, closed := strings.CutSuffix(encoded, ":")
		var err error
		sum, err = base64.StdEncoding.DecodeString(encoded)
		if err != nil || !opened || !closed || len(sum) != sha256.Size {
			return nil, errDigestMalformed
		}
	}
	return sum, nil
}

// digested is a body that says at its end whether it is what the digest was made of.
type digested struct {
	body io.Reader
	sum  hash.Hash
	want []byte
}

func (d *digested) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	_, _ = d.sum.Write(p[:n]) // A hash never fails.
	if errors.Is(err, io.EOF) && !bytes.Equal(d.sum.Sum(nil), d.want) {
		return n, errDigestMismatch
	}
	return n, err
}
