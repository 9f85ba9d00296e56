//go:build compose

package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNothingIsLostWhileAServiceIsCutOffFromItsDatabase is not parallel: nobody else should be disturbed.
func TestNothingIsLostWhileAServiceIsCutOffFromItsDatabase(t *testing.T) { //nolint:paralleltest // See above.
	survive(t, 100, func() {
		for _, service := range domains {
			mend := platform.cut(t, service)
			require.Eventually(t, func() bool { return !answers(t, service) },
				10*time.Second, 100*time.Millisecond, "%s does without its database", service)
			time.Sleep(5 * time.Second) // How long the cut lasts.
			mend()
			require.Eventually(t, func() bool { return answers(t, service) },
				time.Minute, 100*time.Millisecond, "%s does not find its database again", service)
		}
	})
}

// lists has one list of each service.
var lists = map[string]string{
	"orders": "/v1/orders?limit=1", "payments": "/v1/payments?limit=1", "inventory": "/v1/stock?limit=1",
	"shipping": "/v1/shipments?limit=1", "orchestrator": "/v1/sagas?limit=1",
}

// answers tells whether a service can look into its books within two seconds.
func answers(t *testing.T, service string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, platform.URLs[service]+lists[service], nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	require.NoError(t, res.Body.Close())
	return res.StatusCode == http.StatusOK
}
