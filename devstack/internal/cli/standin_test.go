package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// asDevstack makes the test binary behave as the devstack program, also for the children it starts.
const asDevstack = "DEVSTACK_TEST_AS_DEVSTACK"

var serviceNames = []string{"orders", "payments", "inventory", "shipping", "orchestrator"}

// TestMain lets the test binary play the programs of the stack: devstack itself and, under a service's
// name, a stand-in that keeps the configuration contract and does nothing else, or orderflow, which seeds.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "orderflow" {
		if err := standInSeed(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	for _, name := range serviceNames {
		if filepath.Base(os.Args[0]) == name {
			if err := standIn(name, os.Args[1]); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			return
		}
	}
	if os.Getenv(asDevstack) != "" {
		os.Exit(Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func standIn(name, command string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var conn *pgx.Conn
	if name != "orchestrator" {
		var err error
		if conn, err = pgx.Connect(ctx, os.Getenv("DATABASE_URL")); err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.Background()) }()
	}
	if command == "migrate" {
		if conn == nil {
			return nil
		}
		_, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS stock (line text)")
		return err
	}
	if os.Getenv("FAIL") != "" {
		return fmt.Errorf("%s has a reason to fail", name)
	}

	ops := http.NewServeMux()
	ops.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	api := http.NewServeMux()
	if name == "inventory" {
		var one sync.Mutex // a connection serves one query at a time
		api.HandleFunc("GET /v1/stock", func(w http.ResponseWriter, r *http.Request) {
			one.Lock()
			defer one.Unlock()
			var n int
			if err := conn.QueryRow(r.Context(), "SELECT count(*) FROM stock").Scan(&n); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			if n == 0 {
				_, _ = fmt.Fprint(w, `{"items":[]}`)
				return
			}
			_, _ = fmt.Fprintf(w, `{"items":[{"count":%d}]}`, n)
		})
		api.HandleFunc("PUT /v1/stock", func(w http.ResponseWriter, r *http.Request) {
			one.Lock()
			defer one.Unlock()
			body, _ := io.ReadAll(r.Body)
			if _, err := conn.Exec(r.Context(), "INSERT INTO stock VALUES ($1)", string(body)); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	failed := make(chan error, 2)
	go func() { failed <- http.ListenAndServe(os.Getenv("OPS_ADDR"), ops) }()
	go func() { failed <- http.ListenAndServe(os.Getenv("HTTP_ADDR"), api) }()
	fmt.Printf("%s serves with the level %s\n", name, os.Getenv("LOG_LEVEL"))
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		fmt.Println(name, "drained")
		return nil
	}
}

func standInSeed() error {
	request, err := http.NewRequest(http.MethodPut, os.Getenv("INVENTORY_URL")+"/v1/stock", strings.NewReader("a line"))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	fmt.Println("stock answered", response.Status)
	return response.Body.Close()
}
