package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/orderflow/orderflow/devstack/internal/postgres"
	"github.com/orderflow/orderflow/devstack/internal/supervise"
	"github.com/orderflow/orderflow/devstack/internal/traces"
)

const (
	namespace          = "orderflow"
	temporalRole       = "temporal"
	temporalDatabase   = "temporal"
	visibilityDatabase = "temporal_visibility"
)

// Levels of the stop, highest first.
const (
	levelPostgres = iota
	levelServers
	levelUI
	levelServices
)

// roles are those of the services with a database, and Temporal's.
func roles() []string {
	list := []string{temporalRole}
	for _, svc := range services {
		if svc.database {
			list = append(list, svc.name)
		}
	}
	return list
}

// receiveTraces takes the spans of all processes as long as devstack runs.
func (s *stack) receiveTraces(ctx context.Context) error {
	receiver, err := traces.Listen(ctx, s.ports.address("OTLP"), filepath.Join(s.data, tracesDir))
	if err != nil {
		return err
	}
	s.files = append(s.files, receiver)
	return nil
}

// startPostgres starts a cluster of our own, unless DATABASE_URL names a running server.
func (s *stack) startPostgres(ctx context.Context) error {
	begun := time.Now()
	if s.externalURL != "" {
		if err := postgres.Ping(ctx, s.externalURL); err != nil {
			return fmt.Errorf("the PostgreSQL server of DATABASE_URL cannot be used: %w", err)
		}
		s.adminURL = s.externalURL
		s.stage("PostgreSQL of DATABASE_URL answers (%v)", since(begun))
		return nil
	}
	var err error
	if s.cluster.Installation, err = postgres.SystemFinder().FindOrInstall(ctx, s.lines("apt-get")); err != nil {
		return err
	}
	if err := s.cluster.Prepare(ctx); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.data, logDir, "postgres.log"))
	if err != nil {
		return err
	}
	s.files = append(s.files, log)
	// A service that meets a unique constraint on purpose is an ERROR to PostgreSQL; on the terminal
	// that would only be noise.
	output := supervise.NewOutput(func(line string) { _, _ = fmt.Fprintln(log, line) })
	p, err := s.group.Start(s.cluster.Spec(output))
	if err != nil {
		return err
	}
	if err := p.WaitReady(ctx, 60*time.Second); err != nil {
		return err
	}
	s.adminURL = s.cluster.AdminURL("postgres")
	s.stage("PostgreSQL on %s from %s (%v)", s.ports.address("POSTGRES"), s.cluster.Installation.Bin, since(begun))
	return nil
}

// provision makes the databases. Only in a cluster of our own may it also shut the standard ones.
func (s *stack) provision(ctx context.Context) error {
	begun := time.Now()
	var databases []postgres.Database
	for _, role := range roles() {
		databases = append(databases, postgres.Database{Name: role, Role: role, Password: s.secrets.Roles[role]})
	}
	databases = append(databases, postgres.Database{
		Name: visibilityDatabase, Role: temporalRole, Password: s.secrets.Roles[temporalRole],
	})
	var shut []string
	if s.externalURL == "" {
		shut = []string{"postgres", "template1"}
	}
	if err := postgres.Provision(ctx, s.adminURL, databases, shut...); err != nil {
		return err
	}
	for _, db := range databases {
		url, err := db.URL(s.adminURL)
		if err != nil {
			return err
		}
		s.databases[db.Name] = url
	}
	s.stage("databases and roles (%v)", since(begun))
	return nil
}

// startServers starts NATS, Temporal and the UI as children of this very program, so that each can be
// killed and comes back alone.
func (s *stack) startServers(ctx context.Context) error {
	begun := time.Now()
	p := s.ports
	natsReady := p.url("NATS_MONITOR") + "/healthz"
	nats, err := s.startSelf("nats", levelServers, natsReady, answers(natsReady), nil,
		p.flag("port", "NATS"), p.flag("monitor-port", "NATS_MONITOR"),
		"--store="+filepath.Join(s.data, natsDir))
	if err != nil {
		return err
	}
	// Asking for workflows needs all that workflows need: the schema, the frontend, the visibility store and
	// the namespace in the frontend's cache, which remembers for a second that there was none.
	temporalReady := p.url("TEMPORAL_HTTP") + "/api/v1/namespaces/" + namespace + "/workflows?pageSize=1"
	temporal, err := s.startSelf("temporal", levelServers, temporalReady, answers(temporalReady),
		[]string{"DATABASE_URL=" + s.databases[temporalDatabase]},
		p.flag("port", "TEMPORAL"), p.flag("http-port", "TEMPORAL_HTTP"),
		p.flag("history-port", "TEMPORAL_HISTORY"), p.flag("matching-port", "TEMPORAL_MATCHING"),
		p.flag("worker-port", "TEMPORAL_WORKER"), p.flag("metrics-port", "TEMPORAL_METRICS"),
		"--visibility-database="+visibilityDatabase, "--namespace="+namespace)
	if err != nil {
		return err
	}
	if err := nats.WaitReady(ctx, 30*time.Second); err != nil {
		return err
	}
	s.stage("NATS with JetStream on %s (%v)", p.address("NATS"), since(begun))
	if err := temporal.WaitReady(ctx, 120*time.Second); err != nil {
		return err
	}
	s.stage("Temporal on %s, namespace %s (%v)", p.address("TEMPORAL"), namespace, since(begun))
	if !s.withUI() {
		return nil
	}
	uiReady := p.url("UI") + "/healthz"
	ui, err := s.startSelf("ui", levelUI, uiReady, answers(uiReady), nil,
		p.flag("port", "UI"), "--temporal="+p.address("TEMPORAL"), "--namespace="+namespace,
		"--codec="+p.url("ORCHESTRATOR")+"/v1/codec")
	if err != nil {
		return err
	}
	if err := ui.WaitReady(ctx, 30*time.Second); err != nil {
		return err
	}
	s.stage("Temporal UI on %s (%v)", p.url("UI"), since(begun))
	return nil
}

func (s *stack) startSelf(
	command string, level int, readyURL string, ready func(context.Context) error, env []string, flags ...string,
) (*supervise.Process, error) {
	environ := append([]string{}, s.options.Environ...)
	environ = append(environ, env...)
	for name, value := range settingsFor(command, s.options.Environ) {
		environ = append(environ, name+"="+value)
	}
	return s.group.Start(supervise.Spec{
		Name:     command,
		Path:     s.options.Self,
		Args:     append([]string{command}, flags...),
		Env:      environ,
		Dir:      s.data,
		Level:    level,
		Output:   s.lines(command),
		ReadyURL: readyURL,
		Ready:    ready,
	})
}

func (s *stack) natsURL() string { return "nats://" + s.ports.address("NATS") }

func (s *stack) withUI() bool { return !s.options.NoUI && !s.options.OnlyInfra }

// postgresSettings are the server settings of the variables ORDERFLOW_POSTGRES_<SETTING>.
func postgresSettings(environ []string) map[string]string {
	settings := map[string]string{}
	for name, value := range settingsFor("postgres", environ) {
		settings[strings.ToLower(name)] = value
	}
	return settings
}
