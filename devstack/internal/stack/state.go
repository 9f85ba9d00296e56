package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	// Traces is the directory of the spans that the stack has made, one export a line of OTLP/JSON.
	Traces string `json:"traces"`
	// URLs holds the base URL of each service's HTTP API by the service's name, and of "ui" (the Temporal
	// UI), "temporal_http", "temporal_metrics", "nats_monitor" and "otlp" (the receiver of traces, gRPC).
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

// state describes the stack as it is now.
func (s *stack) state() State {
	state := State{
		Version:     1,
		PID:         os.Getpid(),
		Root:        s.root,
		Data:        s.data,
		Traces:      filepath.Join(s.data, tracesDir),
		URLs:        map[string]string{},
		OpsURLs:     map[string]string{},
		Databases:   map[string]string{},
		AdminURL:    s.adminURL,
		NATSURL:     s.natsURL(),
		Temporal:    TemporalState{Address: s.ports.address("TEMPORAL"), Namespace: namespace},
		PayloadKeys: s.secrets.PayloadKeys,
		Processes:   processStates(s.group.Processes()),
	}
	state.URLs["temporal_http"] = s.ports.url("TEMPORAL_HTTP")
	state.URLs["temporal_metrics"] = s.ports.url("TEMPORAL_METRICS") + "/metrics"
	state.URLs["nats_monitor"] = s.ports.url("NATS_MONITOR")
	state.URLs["otlp"] = s.ports.url("OTLP")
	if s.withUI() {
		state.URLs["ui"] = s.ports.url("UI")
	}
	for _, svc := range services {
		if svc.database {
			state.Databases[svc.name] = s.databases[svc.name]
		}
		if !s.options.OnlyInfra {
			state.URLs[svc.name] = s.ports.url(svc.port())
			state.OpsURLs[svc.name] = s.ports.url(svc.ops())
		}
	}
	return state
}

// Running returns the state of the stack that runs on the data directory of the options, if one does.
func Running(o Options) (_ State, running bool, err error) {
	data, err := whereData(o)
	if err != nil {
		return State{}, false, err
	}
	if _, err := os.Stat(filepath.Join(data, lockFile)); errors.Is(err, os.ErrNotExist) {
		return State{}, false, nil // there never was one
	}
	held, err := lock(data)
	if err == nil {
		return State{}, false, held.Close()
	}
	if !errors.Is(err, errRunning) {
		return State{}, false, err
	}
	var state State
	if err := readJSON(filepath.Join(data, stateFile), &state); err != nil {
		return State{}, true, fmt.Errorf("the stack on %s is not ready: wait until it is, or has stopped", data)
	}
	return state, true, nil
}

// Environ is how a command finds the stack: ORDERS_URL and the like, NATS_URL and TEMPORAL_*.
func (s State) Environ() []string {
	environ := []string{
		"NATS_URL=" + s.NATSURL,
		"TEMPORAL_ADDRESS=" + s.Temporal.Address,
		"TEMPORAL_NAMESPACE=" + s.Temporal.Namespace,
	}
	for _, svc := range services {
		if url := s.URLs[svc.name]; url != "" {
			environ = append(environ, svc.port()+"_URL="+url)
		}
	}
	return environ
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
