package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/client"
)

const csvHeader = "sku,warehouse,on_hand\n"

// digestOf returns the value of Content-Digest.
func digestOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// sell lets a quantity of an article leave.
func (b bundle) sell(sku string, quantity int64) {
	b.t.Helper()
	order := id.New(id.Order)
	_, err := b.svc.Reserve(b.t.Context(), inventory.ReserveRequest{
		OrderID: order, Lines: []inventory.Line{{SKU: sku, Quantity: quantity}},
	})
	require.NoError(b.t, err)
	_, err = b.svc.Commit(b.t.Context(), inventory.CommitRequest{OrderID: order})
	require.NoError(b.t, err)
}

func TestARepeatedImportBringsNoSoldPiecesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := "import-1"
	// The second import is larger than what a server reads of a body that nobody wants.
	for _, body := range []string{csvHeader + "MUG,BER,100\n", csvHeader + strings.Repeat("\n", 1<<20) + "MUG,BER,100\n"} {
		key += "x"
		digest := digestOf(body)
		send := func(digest, body string) *client.ImportStockHTTPResponse {
			res, err := b.ImportStockWithBodyWithResponse(t.Context(),
				&client.ImportStockParams{IdempotencyKey: &key, ContentDigest: &digest}, "text/csv", strings.NewReader(body))
			require.NoError(t, err)
			return res
		}
		first := send(digest, body)
		require.NotNil(t, first.JSON200, "%s", first.Body)
		b.sell("MUG", 10)
		sold := b.stored()

		require.Equal(t, first.JSON200, send(digest, body).JSON200)
		other := strings.ReplaceAll(body, "100", "200")
		reused := send(digestOf(other), other)
		require.Equal(t, http.StatusUnprocessableEntity, reused.StatusCode())
		require.Equal(t, "idempotency_key_reused", reused.ApplicationProblemJSONDefault.Code)
		mismatch := send(digest, other)
		require.Equal(t, http.StatusBadRequest, mismatch.StatusCode(), "also where the answer is known")
		require.Equal(t, "content_digest_mismatch", mismatch.ApplicationProblemJSONDefault.Code)
		require.Equal(t, sold, b.stored())
	}
}

func TestAQuantityThatIsSetAgainBringsNoSoldPiecesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := "set-1"
	set := func() *client.SetStockHTTPResponse {
		res, err := b.SetStockWithResponse(t.Context(), "MUG", "BER",
			&client.SetStockParams{IdempotencyKey: &key}, client.OnHand{OnHand: 100})
		require.NoError(t, err)
		return res
	}
	first := set()
	require.NotNil(t, first.JSON200, "%s", first.Body)
	b.sell("MUG", 10)
	sold := b.stored()
	require.Equal(t, first.JSON200, set().JSON200)
	require.Equal(t, sold, b.stored())
}

func TestAnImportIsTheContentThatItsDigestSays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put("MUG BER 5")
	const body = csvHeader + "MUG,BER,9\nPEN,BER,1\n"
	good := digestOf(body)
	const sha512 = "sha-512=:" + "WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==" + ":"
	before := b.stored()
	for name, c := range map[string]struct {
		key, digest string
		want        string
	}{
		"no digest":           {"k", "", "content_digest_missing"},
		"another algorithm":   {"k", sha512, "content_digest_missing"},
		"no bytes":            {"k", "sha-256=::", "content_digest_malformed"},
		"no colons":           {"k", strings.ReplaceAll(good, ":", ""), "content_digest_malformed"},
		"no end":              {"k", strings.TrimSuffix(good, ":"), "content_digest_malformed"},
		"no base64":           {"k", "sha-256=:***:", "content_digest_malformed"},
		"too short":           {"k", "sha-256=:YWJj:", "content_digest_malformed"},
		"malformed without":   {"", "sha-256=?1", "content_digest_malformed"},
		"too long":            {"k", strings.Repeat(good+",", 30), "request_invalid"},
		"of other content":    {"k", digestOf(body + "\n"), "content_digest_mismatch"},
		"also without a key":  {"", digestOf(body + "\n"), "content_digest_mismatch"},
		"the last one counts": {"k", good + ", " + digestOf(""), "content_digest_mismatch"},
	} {
		header := map[string]string{"Content-Type": "text/csv", "Idempotency-Key": c.key, "Content-Digest": c.digest}
		_, d := b.send(request{http.MethodPut, "/v1/stock", body, header})
		require.Equal(t, c.want, d.Code, name)
		require.Equal(t, before, b.stored(), name)
	}
	for _, header := range []map[string]string{
		{"Content-Digest": good, "Idempotency-Key": "k"}, // Nothing that failed has used up the key.
		{"Content-Digest": sha512 + " ,\t" + good, "Idempotency-Key": "k2"},
		{"Content-Digest": good},
		{"Content-Digest": sha512},
	} {
		header["Content-Type"] = "text/csv"
		res, d := b.send(request{http.MethodPut, "/v1/stock", body, header})
		require.Equal(t, http.StatusOK, res.StatusCode, "%v: %v", header, d)
	}
}
