// Package postgres opens PostgreSQL for a service, runs its transactions and migrations, and translates the driver's
// errors into the taxonomy of pkg/errs. It must not know any table.
package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// Requests spend their time waiting for the network and the disk, not computing, so the pool is larger than the
	// number of processors, which is what pgx would take.
	defaultMaxConns = 16

	// A statement that runs longer is a mistake, and a transaction that sits idle longer has lost its owner; both hold
	// locks that others wait for.
	statementTimeout         = "30s"
	idleInTransactionTimeout = "60s"
)

// Open returns a pool of connections to the database that dsn names, as a URL or in keyword=value form. It fails only
// on a dsn that cannot be read: connections are made when they are first needed, so that a service can start before
// its database. Ask pool.Ping whether the database can be reached.
//
// Every session runs in UTC, and every timestamp is scanned in UTC. Statements are cancelled after 30 s and
// transactions that do nothing for 60 s are ended, unless the dsn says otherwise.
func Open(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		cfg.MaxConns = max(cfg.MaxConns, defaultMaxConns)
	}
	cfg.MaxConnLifetimeJitter = cfg.MaxConnLifetime / 10
	cfg.PingTimeout = 5 * time.Second
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}

	params := cfg.ConnConfig.RuntimeParams
	params["timezone"] = "UTC"
	setDefault(params, "statement_timeout", statementTimeout)
	setDefault(params, "idle_in_transaction_session_timeout", idleInTransactionTimeout)

	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	// A statement is part of the trace that it runs for; what nobody asked for makes no trace. Values are never recorded.
	cfg.ConnConfig.Tracer = newTracer(cfg.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

func setDefault(params map[string]string, name, value string) {
	if _, ok := params[name]; !ok {
		params[name] = value
	}
}

// attempts is how often InTx runs a transaction that PostgreSQL aborts in favour of another one.
const attempts = 5

// InTx runs fn in a transaction at PostgreSQL's default isolation level and commits it; if fn fails or panics,
// everything is rolled back. fn runs again, up to five times in all, when PostgreSQL aborts the transaction because of
// a deadlock or a serialization conflict; so it must have no effect outside of the transaction.
//
// Errors pass through Interpret. A commit whose answer was lost returns errs.OutcomeUnknown.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := inTx(ctx, pool, fn)
		if err == nil {
			return nil
		}
		if attempt == attempts || !isAborted(err) {
			return Interpret(err)
		}
		select {
		case <-ctx.Done():
			return Interpret(err)
		// At random, so that two transactions that stopped each other do not meet again.
		case <-time.After(rand.N(time.Duration(attempt) * 20 * time.Millisecond)): //nolint:gosec // not a secret
		}
	}
}

func inTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Does nothing after a commit. The connection goes back to the pool even if the caller has given up.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()

	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		if isRefused(err) {
			return fmt.Errorf("commit: %w", err)
		}
		return errCommitUnknown.WithCause(err)
	}
	return nil
}

// batch is how many rows DeleteInBatches takes at a time. They take far less than the 30 s that a statement may take.
const batch = 5000

// DeleteInBatches runs a statement that deletes up to $1 rows, over and over until it finds fewer, and returns how many
// it deleted. What piled up while nobody deleted anything can be more than one statement may take the time for, and a
// statement that is cancelled deletes nothing, ever. More args are $2 and so on. Errors pass through Interpret.
func DeleteInBatches(
	ctx context.Context, pool *pgxpool.Pool, statement string, args ...any,
) (deleted int64, err error) {
	args = append([]any{batch}, args...)
	for {
		tag, err := pool.Exec(ctx, statement, args...)
		if err != nil {
			return deleted, Interpret(err)
		}
		deleted += tag.RowsAffected()
		if tag.RowsAffected() < batch {
			return deleted, nil
		}
	}
}
