package httpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout is less than the time-out that Kubernetes gives a probe by our manifests.
const checkTimeout = 2 * time.Second

// Check reports why a part that the service cannot work without is not usable now, or nil.
type Check = func(context.Context) error

// Ops returns the handler of the ops port:
//
//   - /livez says 200 as long as the process answers at all. It depends on nothing else, because a restart does not
//     bring back a database.
//   - /readyz runs the checks at the same time, for two seconds at most, and says 200, or 503 with the failing ones.
//     It says 503 from the moment ctx ends, while requests in flight are drained.
//   - /metrics exposes what the gatherer has, with exemplars for those who ask for the OpenMetrics format.
//
// Serve it with a context that ends after the one given here, or nobody is left to say 503.
func Ops(ctx context.Context, gatherer prometheus.Gatherer, checks map[string]Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeReadiness(w, readiness{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			writeReadiness(w, readiness{Status: "draining"})
			return
		}
		writeReadiness(w, runChecks(r.Context(), checks)) //nolint:contextcheck // ctx only says when the drain begins
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return mux
}

type readiness struct {
	Status  string            `json:"status"` // ok, failing or draining
	Failing map[string]string `json:"failing,omitempty"`
}

func runChecks(ctx context.Context, checks map[string]Check) readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		failing = map[string]string{}
	)
	for name, check := range checks {
		wg.Go(func() {
			if err := check(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failing[name] = err.Error()
			}
		})
	}
	wg.Wait()
	if len(failing) > 0 {
		return readiness{Status: "failing", Failing: failing}
	}
	return readiness{Status: "ok"}
}

func writeReadiness(w http.ResponseWriter, r readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // The prober went away; there is nobody to tell.
}
