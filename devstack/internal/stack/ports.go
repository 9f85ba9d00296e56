package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// portEnv is the prefix of the variables that move a port: ORDERFLOW_PORT_ORDERS=18080.
const portEnv = "ORDERFLOW_PORT_"

// port is one the stack listens on, always on 127.0.0.1.
type port struct {
	name     string // as in the variable, and as remembered
	standard int
	needs    string // who needs it, for the message that it is busy
}

var (
	infraPorts = []port{
		{"POSTGRES", 15432, "PostgreSQL"},
		{"NATS", 4222, "NATS"},
		{"NATS_MONITOR", 8222, "the NATS monitoring page"},
		{"TEMPORAL", 7233, "the Temporal frontend"},
		{"TEMPORAL_HTTP", 7243, "the Temporal HTTP API"},
		{"TEMPORAL_HISTORY", 7234, "the Temporal history service"},
		{"TEMPORAL_MATCHING", 7235, "the Temporal matching service"},
		{"TEMPORAL_WORKER", 7239, "the Temporal worker service"},
		{"TEMPORAL_METRICS", 7290, "the Temporal metrics"},
		{"OTLP", 4317, "the receiver of traces"},
	}
	uiPorts      = []port{{"UI", 8233, "the Temporal UI"}}
	servicePorts = []port{
		{"ORDERS", 8080, "orders"},
		{"ORDERS_OPS", 9080, "the ops endpoints of orders"},
		{"PAYMENTS", 8081, "payments"},
		{"PAYMENTS_OPS", 9081, "the ops endpoints of payments"},
		{"INVENTORY", 8082, "inventory"},
		{"INVENTORY_OPS", 9082, "the ops endpoints of inventory"},
		{"SHIPPING", 8083, "shipping"},
		{"SHIPPING_OPS", 9083, "the ops endpoints of shipping"},
		{"ORCHESTRATOR", 8084, "the orchestrator"},
		{"ORCHESTRATOR_OPS", 9084, "the ops endpoints of the orchestrator"},
	}
)

// ports maps a port's name to its number.
type ports map[string]int

// choosePorts gives every wanted port a number that is free now. A variable wins over everything;
// otherwise it is the standard port, or with auto the remembered one if it is free, else any free one.
func choosePorts(wanted []port, auto bool, remembered ports, environ []string) (ports, error) {
	moved, err := movedPorts(environ)
	if err != nil {
		return nil, err
	}
	chosen := ports{}
	var held []net.Listener // so that no port is given out twice
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	owner := map[int]string{}
	fix := func(p port, number int) error {
		if first, taken := owner[number]; taken {
			return fmt.Errorf("port %d is wanted by both %s and %s: set %s%s to another port",
				number, first, p.needs, portEnv, p.name)
		}
		l, err := listen(number, time.Second)
		if err != nil {
			hint := ", or start with --ports auto"
			if auto {
				hint = ""
			}
			return fmt.Errorf("port %d is busy and %s needs it: stop what listens there, set %s%s to another port%s",
				number, p.needs, portEnv, p.name, hint)
		}
		held, owner[number], chosen[p.name] = append(held, l), p.needs, number
		return nil
	}
	for _, p := range wanted {
		number, ok := moved[p.name]
		if !ok && auto {
			continue
		}
		if !ok {
			number = p.standard
		}
		if err := fix(p, number); err != nil {
			return nil, err
		}
	}
	for _, p := range wanted {
		if chosen[p.name] != 0 {
			continue
		}
		l, err := anyFree(remembered[p.name])
		if err != nil {
			return nil, fmt.Errorf("find a free port for %s: %w", p.needs, err)
		}
		held, chosen[p.name] = append(held, l), l.Addr().(*net.TCPAddr).Port
	}
	return chosen, nil
}

func movedPorts(environ []string) (ports, error) {
	known := slices.Concat(infraPorts, uiPorts, servicePorts)
	moved := ports{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		name, ok := strings.CutPrefix(name, portEnv)
		if !ok {
			continue
		}
		if !slices.ContainsFunc(known, func(p port) bool { return p.name == name }) {
			names := make([]string, len(known))
			for i, p := range known {
				names[i] = p.name
			}
			return nil, fmt.Errorf("%s%s is not known: the ports are %s", portEnv, name, strings.Join(names, ", "))
		}
		number, err := strconv.Atoi(value)
		if err != nil || number < 1 || number > 65535 {
			return nil, fmt.Errorf("%s%s=%s is not a port number", portEnv, name, value)
		}
		moved[name] = number
	}
	return moved, nil
}

// listen tries for a while, because the children of a stack killed a moment ago need that long to go.
func listen(number int, patience time.Duration) (net.Listener, error) {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		//nolint:noctx // It answers at once.
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(number)))
		if err == nil || time.Now().After(end) {
			return l, err
		}
	}
}

// anyFree prefers the given port. Others come from below the range the kernel takes the ports of outgoing
// connections from: there, a port could be gone when a killed server wants it back.
func anyFree(preferred int) (net.Listener, error) {
	if preferred != 0 {
		if l, err := listen(preferred, 0); err == nil {
			return l, nil
		}
	}
	for range 1000 {
		if l, err := listen(10000+rand.IntN(20000), 0); err == nil { //nolint:gosec // A port is no secret.
			return l, nil
		}
	}
	return nil, errors.New("a thousand tries found none")
}

func (p ports) address(name string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p[name]))
}

func (p ports) url(name string) string { return "http://" + p.address(name) }

func (p ports) flag(flag, name string) string {
	return fmt.Sprintf("--%s=%d", flag, p[name])
}

// remember keeps automatically chosen ports for the next start.
func (p ports) remember(file string) error { return writeJSON(file, p, 0o644) }

func rememberedPorts(file string) ports {
	var p ports
	// A file that cannot be read only means new ports.
	_ = readJSON(file, &p)
	return p
}
