package stack

import (
	"time"

	"github.com/orderflow/orderflow/devstack/internal/supervise"
)

// State is what `devstack up --state FILE` writes once everything is ready, for tests and scripts. It is
// rewritten (in one step) whenever a process dies or is restarted, and removed when the stack stops. The
// file holds passwords and is readable by its owner only. See the package documentation for an example.
type State struct {
	Version int    `json:"version"` // 1; a reader should refuse another
	PID     int    `json:"pid"`     // of devstack itself
	Root    string `json:"root"`
	Data    string `json:"data"`
	// URLs holds the base URL of each service's HTTP API by the service's name, and of "ui" (the Temporal
	// UI), "temporal_http", "temporal_metrics" and "nats_monitor".
	URLs map[string]string `json:"urls"`
	// OpsURLs holds the base URL of each service's ops endpoints (/livez, /readyz, /metrics).
	OpsURLs map[string]string `json:"ops_urls"`
	// Databases holds the database URL of each service that has one, as its own role.
	Databases map[string]string `json:"databases"`
	// AdminURL opens the database "postgres" as a superuser.
	AdminURL string        `json:"admin_dsn"`
	NATSURL  string        `json:"nats_url"`
	Temporal TemporalState `json:"temporal"`
	// PayloadKeys is what the services encrypt payloads with.
	PayloadKeys string         `json:"payload_keys"`
	Processes   []ProcessState `json:"processes"`
}

// TemporalState says how to reach the Temporal server.
type TemporalState struct {
	Address   string `json:"address"`
	Namespace string `json:"namespace"`
}

// ProcessState is one child of devstack. PostgreSQL is among them unless DATABASE_URL names a server.
type ProcessState struct {
	Name string `json:"name"`
	// PID is 0 while the process is down and about to be restarted.
	PID int `json:"pid"`
	// ReadyURL answers 200 when the process is ready; PostgreSQL has none.
	ReadyURL  string    `json:"ready_url,omitempty"`
	Restarts  int       `json:"restarts"`
	StartedAt time.Time `json:"started_at"`
}

func processStates(processes []*supervise.Process) []ProcessState {
	states := make([]ProcessState, 0, len(processes))
	for _, p := range processes {
		s := p.Status()
		states = append(states, ProcessState{
			Name: s.Name, PID: s.PID, ReadyURL: s.ReadyURL, Restarts: s.Restarts, StartedAt: s.Started.UTC(),
		})
	}
	return states
}
