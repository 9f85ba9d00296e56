package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// settings make a server fast whose data nobody needs once it has stopped.
var settings = []string{
	"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	"-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "max_wal_size=256MB",
	"-c", "shared_buffers=64MB",
}

// server is the one server of this test process. Starting one per test would take a second each.
var server = sync.OnceValues(func() (*instance, error) {
	return choose(os.Getenv("TEST_DATABASE_URL"), os.Stderr,
		way{"a container", joinOrStart}, way{"the local binaries", startBinaries})
})

// way is one way to come by a server.
type way struct {
	name string
	open func() (*instance, error)
}

// choose returns the server that dsn names, or else the first that can be had, and tells log why not an earlier one.
func choose(dsn string, log io.Writer, ways ...way) (*instance, error) {
	if dsn != "" {
		return &instance{dsn: dsn, shared: true, templates: map[string]struct{}{}}, nil
	}
	reasons := []string{"TEST_DATABASE_URL is not set"}
	for n, way := range ways {
		i, err := way.open()
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		if n > 0 {
			fmt.Fprintf(log, "pgtest: PostgreSQL comes from %s: %s\n", way.name, strings.Join(reasons[1:], "; "))
		}
		return i, nil
	}
	return nil, errors.New("there is no PostgreSQL for this test: " + strings.Join(reasons, "; "))
}

// connect waits for a server that is starting, until failed returns an error.
func connect(ctx context.Context, dsn string, failed func() error) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn, nil
		}
		if err := failed(); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("PostgreSQL did not start: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
