package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// stack is a running platform. What runs it is devstack, or docker compose where the tag compose is set.
type stack struct {
	Traces    string            `json:"traces"`
	URLs      map[string]string `json:"urls"`
	Databases map[string]string `json:"databases"`
	Temporal  struct {
		Address   string `json:"address"`
		Namespace string `json:"namespace"`
	} `json:"temporal"`
	PayloadKeys string `json:"payload_keys"`
	host
}

// platform is shared by the tests.
var platform *stack

// programs is where the programs under test are built, once.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "orderflow-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		programs = filepath.Join(dir, "bin")
		for name, module := range sources {
			if err := build(name, module); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		platform, err = startStack(filepath.Join(dir, "platform"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		// Whatever the tests did, the books agree, and the code can go on with every saga that it ran.
		for _, check := range []string{"audit", "replay"} {
			if code != 0 {
				break
			}
			out, err := platform.orderflow(context.Background(), check)
			fmt.Fprint(os.Stderr, out)
			if err != nil {
				code = 1
			}
		}
		if code != 0 {
			fmt.Fprintf(os.Stderr, "the platform's last words:\n%s\n", platform.words())
		}
		if err := platform.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

func build(name, module string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(programs, name), "./cmd/"+name)
	cmd.Dir = filepath.Join("..", module)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}

// audit runs the operators' audit and wants no finding.
func (s *stack) audit(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.orderflow(t.Context(), append([]string{"audit"}, args...)...)
	require.NoError(t, err, "%s", out)
	return out
}

// orderflow runs the operators' command line.
func (s *stack) orderflow(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "orderflow"), args...)
	cmd.Env = append(os.Environ(), "ORDERS_URL="+s.URLs["orders"], "PAYMENTS_URL="+s.URLs["payments"],
		"INVENTORY_URL="+s.URLs["inventory"], "SHIPPING_URL="+s.URLs["shipping"],
		"TEMPORAL_ADDRESS="+s.Temporal.Address, "TEMPORAL_NAMESPACE="+s.Temporal.Namespace, "PAYLOAD_KEYS="+s.PayloadKeys)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// findings runs the operators' audit and returns what it finds wrong, by order. Tests that run at the same time have
// orders of their own in every state, so that each looks only at what is said of its own.
func findings(t *testing.T, s *stack) map[string]string {
	t.Helper()
	out, err := s.orderflow(t.Context(), "audit")
	found := map[string]string{}
	for line := range strings.Lines(out) {
		if id, problem, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(id, "ord_") {
			found[id] += problem
		}
	}
	require.Equal(t, len(found) > 0, err != nil, "the exit code contradicts what is printed: %s", out)
	require.Contains(t, out, " orders checked, ")
	return found
}

// tamper changes a service's books behind its back.
func tamper(t *testing.T, s *stack, database, statement string, args ...any) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.Databases[database])
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	changed, err := db.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, changed.RowsAffected())
}
