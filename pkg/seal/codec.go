package seal

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

const (
	encodingKey    = "encoding"
	encodingSealed = "binary/sealed"
)

// Codec returns the Temporal payload codec that seals every payload. Payloads that are not sealed are passed through
// when decoding, so that histories from before a keyring was set stay readable.
func (k Keyring) Codec() converter.PayloadCodec { return codec{k} }

type codec struct{ keys Keyring }

func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("seal: marshal payload: %w", err)
		}
		sealed, err := c.keys.Seal(plain)
		if err != nil {
			return nil, err
		}
		out[i] = &commonpb.Payload{Metadata: map[string][]byte{encodingKey: []byte(encodingSealed)}, Data: sealed}
	}
	return out, nil
}

func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[encodingKey]) != encodingSealed {
			out[i] = p
			continue
		}
		plain, err := c.keys.Open(p.GetData())
		if err != nil {
			return nil, err
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("seal: unmarshal payload: %w", err)
		}
	}
	return out, nil
}
