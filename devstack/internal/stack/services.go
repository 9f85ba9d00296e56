package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/orderflow/orderflow/devstack/internal/supervise"
)

// service is one of Orderflow's own processes.
type service struct {
	name     string
	module   string // directory of its Go module, from the repository's root
	database bool
}

var services = []service{
	{"orders", "services/orders", true},
	{"payments", "services/payments", true},
	{"inventory", "services/inventory", true},
	{"shipping", "services/shipping", true},
	{"orchestrator", "orchestrator", false},
}

// cli is the operators' command line. It is no service: it is run once, to seed.
var cli = service{name: "orderflow", module: "orchestrator"}

// programs are all that the stack runs of Orderflow.
func (s *stack) programs() []service {
	if s.options.NoSeed {
		return services
	}
	return append(slices.Clone(services), cli)
}

func (s service) port() string { return strings.ToUpper(s.name) }
func (s service) ops() string  { return strings.ToUpper(s.name) + "_OPS" }

// checkSources finds out before anything starts that a program cannot be had.
func (s *stack) checkSources() error {
	for _, svc := range s.programs() {
		if s.options.Bin != "" {
			file := filepath.Join(s.options.Bin, svc.name)
			if info, err := os.Stat(file); err != nil || info.IsDir() {
				return fmt.Errorf("the program %s is missing: --bin needs one for each service, and orderflow to seed", file)
			}
			continue
		}
		dir := filepath.Join(s.root, svc.module, "cmd", svc.name)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("the program %s cannot be built: %s is missing", svc.name, dir)
		}
	}
	return nil
}

func (s *stack) program(svc service) string {
	if s.options.Bin != "" {
		return filepath.Join(s.options.Bin, svc.name)
	}
	return filepath.Join(s.data, binDir, svc.name)
}

// build builds one program after the other: each build uses all processors anyway.
func (s *stack) build(ctx context.Context) error {
	if s.options.Bin != "" {
		return nil
	}
	for _, svc := range s.programs() {
		begun := time.Now()
		err := s.group.Run(ctx, supervise.Spec{
			Name:   "the build of " + svc.name,
			Path:   "go",
			Args:   []string{"build", "-o", s.program(svc), "./cmd/" + svc.name},
			Env:    s.options.Environ,
			Dir:    filepath.Join(s.root, svc.module),
			Output: s.lines("build"),
		})
		if err != nil {
			return err
		}
		s.stage("built %s (%v)", svc.name, since(begun))
	}
	return nil
}

// migrate brings the databases and the Temporal namespace up to date, all at once.
func (s *stack) migrate(ctx context.Context) error {
	begun := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for _, svc := range services {
		g.Go(func() error {
			return s.group.Run(ctx, supervise.Spec{
				Name:   "the migration of " + svc.name,
				Path:   s.program(svc),
				Args:   []string{"migrate", "up"},
				Env:    s.serviceEnv(svc),
				Dir:    s.data,
				Output: s.lines(svc.name),
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.stage("databases and namespace migrated (%v)", since(begun))
	return nil
}

func (s *stack) serve(ctx context.Context) error {
	begun := time.Now()
	g, waiting := errgroup.WithContext(ctx)
	for _, svc := range services {
		ready := s.ports.url(svc.ops()) + "/readyz"
		p, err := s.group.Start(supervise.Spec{
			Name:        svc.name,
			Path:        s.program(svc),
			Args:        []string{"serve"},
			Env:         s.serviceEnv(svc),
			Dir:         s.data,
			Level:       levelServices,
			StopTimeout: 20 * time.Second, // More than the 15 s in which a service drains.
			Output:      s.lines(svc.name),
			ReadyURL:    ready,
			Ready:       answers(ready),
		})
		if err != nil {
			return err
		}
		g.Go(func() error { return p.WaitReady(waiting, 60*time.Second) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.stage("services ready (%v)", since(begun))
	return nil
}

// seed lets the command line put demo stock into an inventory that has none.
func (s *stack) seed(ctx context.Context) error {
	return s.group.Run(ctx, supervise.Spec{
		Name:   "the seed",
		Path:   s.program(cli),
		Args:   []string{"seed"},
		Env:    append(slices.Clone(s.options.Environ), "INVENTORY_URL="+s.ports.url("INVENTORY")),
		Dir:    s.data,
		Output: s.lines("seed"),
	})
}

// serviceEnv is the configuration contract of all services. It starts from devstack's own environment
// (PATH, HOME, proxies, telemetry) without what would configure a service by accident.
func (s *stack) serviceEnv(svc service) []string {
	environ := map[string]string{}
	for _, variable := range s.options.Environ {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "ORDERFLOW_") || strings.HasPrefix(name, "TEMPORAL_") || name == "DATABASE_URL" {
			continue
		}
		environ[name] = value
	}
	if environ["LOG_LEVEL"] == "" {
		environ["LOG_LEVEL"] = "info"
	}
	if environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == "" && environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "" {
		environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = s.ports.url("OTLP")
		if environ["OTEL_BSP_SCHEDULE_DELAY"] == "" {
			environ["OTEL_BSP_SCHEDULE_DELAY"] = "500" // ms: who looks at a trace has just made it.
		}
	}
	environ["LOG_FORMAT"] = "text"
	environ["NATS_URL"] = s.natsURL()
	environ["TEMPORAL_ADDRESS"] = s.ports.address("TEMPORAL")
	environ["TEMPORAL_NAMESPACE"] = namespace
	environ["HTTP_ADDR"] = s.ports.address(svc.port())
	environ["OPS_ADDR"] = s.ports.address(svc.ops())
	environ["PAYLOAD_KEYS"] = s.secrets.PayloadKeys
	if svc.database {
		environ["DATABASE_URL"] = s.databases[svc.name]
	}
	if svc.name == "orchestrator" && s.withUI() {
		environ["CODEC_ORIGIN"] = s.ports.url("UI") // the browser may ask it to decode what the UI shows
	}
	for name, value := range settingsFor(svc.name, s.options.Environ) {
		environ[name] = value
	}
	list := make([]string, 0, len(environ))
	for name, value := range environ {
		list = append(list, name+"="+value)
	}
	return list
}

// settingsFor returns what the variables ORDERFLOW_<PROCESS>_X set for one process, by X.
func settingsFor(process string, environ []string) map[string]string {
	prefix := "ORDERFLOW_" + strings.ToUpper(process) + "_"
	found := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if name, ok := strings.CutPrefix(name, prefix); ok && name != "" {
			found[name] = value
		}
	}
	return found
}

// answers returns a check that the URL is answered with 200.
func answers(url string) func(context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
