// Package stack brings up all of Orderflow on one machine, in order, keeps it up, and takes it down so
// that nothing remains but the data. It knows the services' configuration contract and nothing of what
// they do.
//
// # State file
//
// `devstack up --state FILE` writes a [State] when everything is ready:
//
//	{
//	  "version": 1,
//	  "pid": 4711,
//	  "root": "/home/me/orderflow",
//	  "data": "/home/me/.cache/orderflow/devstack/orderflow-1a2b3c4d",
//	  "traces": "/home/me/.cache/orderflow/devstack/orderflow-1a2b3c4d/traces",
//	  "urls": {"orders": "http://127.0.0.1:8080", …, "ui": …, "temporal_http": …, "temporal_metrics": …,
//	           "nats_monitor": …, "otlp": "http://127.0.0.1:4317"},
//	  "ops_urls": {"orders": "http://127.0.0.1:9080", …, "orchestrator": "http://127.0.0.1:9084"},
//	  "databases": {"orders": "postgres://orders:…@127.0.0.1:15432/orders?sslmode=disable", …},
//	  "admin_dsn": "postgres://devstack:…@127.0.0.1:15432/postgres?sslmode=disable",
//	  "nats_url": "nats://127.0.0.1:4222",
//	  "temporal": {"address": "127.0.0.1:7233", "namespace": "orderflow"},
//	  "payload_keys": "dev:…",
//	  "processes": [
//	    {"name": "postgres", "pid": 4712, "restarts": 0, "started_at": "2026-01-02T03:04:05Z"},
//	    {"name": "nats", "pid": 4713, "ready_url": "http://127.0.0.1:8222/healthz", …},
//	    {"name": "temporal", …}, {"name": "ui", …}, {"name": "orders", …}, …
//	  ]
//	}
//
// The file is replaced in one step whenever a process dies (pid 0) or has been started again, and removed
// before the stack starts and when it stops. A pid says that a process runs; its ready URL says that it works.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orderflow/orderflow/devstack/internal/postgres"
	"github.com/orderflow/orderflow/devstack/internal/supervise"
)

// Options are what the command line and the environment say.
type Options struct {
	Root      string // repository; empty: found upwards from the working directory
	Data      string // data directory; empty: the default one of the repository
	Bin       string // directory of prebuilt programs; empty: they are built
	State     string // file for the State; empty: none
	AutoPorts bool
	NoUI      bool
	NoSeed    bool
	OnlyInfra bool

	// Task, if set, is run when the stack is ready, which stops when it returns; its error is that of Up.
	Task func(context.Context, State) error
	// Quiet keeps the output of the processes to itself until one fails.
	Quiet bool

	Environ []string  // of devstack itself
	Self    string    // devstack's own program, which can run each server
	Out     io.Writer // everything the user reads
	Colour  bool
}

type stack struct {
	options     Options
	root, data  string
	externalURL string // DATABASE_URL, if set
	console     *supervise.Console
	group       *supervise.Group
	cluster     *postgres.Cluster
	ports       ports
	secrets     secrets
	adminURL    string
	databases   map[string]string
	files       []io.Closer

	mu        sync.Mutex
	published bool // the state file is being kept
}

// Up starts everything, keeps it running until ctx ends, and stops it. A message on kill while it stops
// ends all processes at once. The error is a sentence for the user.
func Up(ctx context.Context, kill <-chan struct{}, o Options) error {
	s, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()

	stopped := make(chan struct{})
	go func() {
		select {
		case <-kill:
			s.console.Printf("==> killing everything")
			s.group.Kill()
		case <-stopped:
		}
	}()

	begun := time.Now()
	err = s.start(ctx)
	switch {
	case err == nil && o.Task != nil:
		err = o.Task(ctx, s.state())
	case err == nil:
		s.announce(begun)
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		err = nil // asked to stop, which may interrupt a start
	}
	s.withdraw()
	if len(s.group.Processes()) > 0 {
		s.stage("stopping")
	}
	s.group.Stop()
	close(stopped)
	if err == nil {
		s.stage("stopped; the data stays in %s", s.data)
	}
	return err
}

// prepare finds out everything that can go wrong before anything is started.
func prepare(ctx context.Context, o Options) (_ *stack, err error) {
	s := &stack{options: o, databases: map[string]string{}}
	s.console = supervise.NewConsole(o.Out, 12, o.Colour)
	if !o.OnlyInfra || o.Data == "" {
		if s.root, err = findRoot(o.Root); err != nil {
			return nil, err
		}
	}
	if s.data, err = dataDir(o.Data, s.root); err != nil {
		return nil, err
	}
	if o.Bin != "" {
		if s.options.Bin, err = filepath.Abs(o.Bin); err != nil {
			return nil, err
		}
	}
	if !o.OnlyInfra {
		if err := s.checkSources(); err != nil {
			return nil, err
		}
	}
	if o.State != "" {
		if info, err := os.Stat(filepath.Dir(o.State)); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("the directory of the state file %s is missing", o.State)
		}
	}
	if s.externalURL = value(o.Environ, "DATABASE_URL"); s.externalURL != "" {
		if _, err := postgres.ParseAdminURL(s.externalURL); err != nil {
			return nil, err
		}
	}
	// Everybody may look into the directory, because PostgreSQL's user must pass; what is private in it
	// is protected by its own mode.
	for _, dir := range []string{s.data, filepath.Join(s.data, binDir), filepath.Join(s.data, logDir)} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL's user must pass.
			return nil, err
		}
	}
	held, err := lock(s.data)
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, held)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	s.withdraw() // one that a killed stack has left
	if s.secrets, err = loadSecrets(filepath.Join(s.data, secretsFile), roles()); err != nil {
		return nil, err
	}
	s.cluster = &postgres.Cluster{
		Dir:      filepath.Join(s.data, postgresDir),
		Password: s.secrets.Superuser,
		Settings: postgresSettings(o.Environ),
	}
	if err := s.cluster.StopLeftover(ctx); err != nil {
		return nil, err
	}
	if err := s.choosePorts(); err != nil {
		return nil, err
	}
	s.cluster.Port = s.ports["POSTGRES"]
	s.group = supervise.NewGroup(s.publish, func(format string, args ...any) { s.stage(format, args...) })
	return s, nil
}

func (s *stack) choosePorts() (err error) {
	wanted := slices.Clone(infraPorts)
	if s.externalURL != "" {
		wanted = slices.DeleteFunc(wanted, func(p port) bool { return p.name == "POSTGRES" })
	}
	if s.withUI() {
		wanted = append(wanted, uiPorts...)
	}
	if !s.options.OnlyInfra {
		wanted = append(wanted, servicePorts...)
	}
	file := filepath.Join(s.data, portsFile)
	var remembered ports
	if s.options.AutoPorts {
		remembered = rememberedPorts(file)
	}
	if s.ports, err = choosePorts(wanted, s.options.AutoPorts, remembered, s.options.Environ); err != nil {
		return err
	}
	if s.options.AutoPorts {
		return s.ports.remember(file)
	}
	return nil
}

func (s *stack) start(ctx context.Context) error {
	s.stage("data in %s", s.data)
	steps := []func(context.Context) error{s.receiveTraces, s.startPostgres, s.provision, s.startServers}
	if !s.options.OnlyInfra {
		steps = append(steps, s.build, s.migrate, s.serve)
		if !s.options.NoSeed {
			steps = append(steps, s.seed)
		}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.published = true
	s.mu.Unlock()
	return s.writeState()
}

// publish is called after every change of a process.
func (s *stack) publish() {
	if err := s.writeState(); err != nil {
		s.stage("the state file cannot be written: %v", err)
	}
}

func (s *stack) writeState() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.published {
		return nil
	}
	state := s.state()
	for _, file := range s.stateFiles() {
		if err := writeJSON(file, state, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// withdraw removes the state files: who finds one may believe it.
func (s *stack) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = false
	for _, file := range s.stateFiles() {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.stage("the state file cannot be removed: %v", err)
		}
	}
}

// stateFiles are the one of the data directory, by which other commands find the stack, and the one asked for.
func (s *stack) stateFiles() []string {
	files := []string{filepath.Join(s.data, stateFile)}
	if s.options.State != "" {
		files = append(files, s.options.State)
	}
	return files
}

// lines returns the output of one process.
func (s *stack) lines(name string) *supervise.Output {
	if s.options.Quiet {
		return supervise.NewOutput(func(string) {})
	}
	return s.console.Lines(name)
}

func (s *stack) close() {
	if s.group != nil {
		s.group.Close()
	}
	for _, file := range s.files {
		_ = file.Close()
	}
}

func (s *stack) stage(format string, args ...any) {
	s.console.Printf("==> %s", fmt.Sprintf(format, args...))
}

func since(begun time.Time) time.Duration { return time.Since(begun).Round(time.Millisecond) }

func value(environ []string, name string) string {
	for _, variable := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}
