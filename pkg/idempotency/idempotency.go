// Package idempotency makes an unsafe request safe to repeat: the answer is stored in the transaction that does the
// work, under the caller's key, and a repetition gets the stored answer. It must not know HTTP; the middleware that
// reads the Idempotency-Key header puts a Request into the context.
package idempotency

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/postgres"
)

// Lifetime is how long an answer is kept. A repetition after that runs again.
const Lifetime = 24 * time.Hour

//go:embed migrations/*.sql
var migrations embed.FS

// Schema creates the table of stored answers.
var Schema = postgres.Migrations{Name: "idempotency", FS: migrations}

var (
	// ErrInUse means that a request with this key is still running.
	ErrInUse = errs.New(errs.Conflict, "idempotency_key_in_use",
		"A request with this idempotency key is still being processed. Please try again shortly.")
	// ErrReused means that this key was used for a request with other content.
	ErrReused = errs.New(errs.Invalid, "idempotency_key_reused",
		"This idempotency key was already used for a different request.")
)

// Request identifies one request of one caller.
type Request struct {
	// Caller is who sent it. The same key of another caller is another request.
	Caller string
	// Key is what the caller chose.
	Key string
	// Fingerprint is a hash of everything that makes two requests the same: method, path and body.
	Fingerprint []byte
}

// lockID identifies the request in PostgreSQL's space of advisory locks. Lengths keep ("a", "bc") from ("ab", "c").
func (r Request) lockID() int64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "idempotency %d %s %s", len(r.Caller), r.Caller, r.Key))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // any 64 bits do
}

type contextKey struct{}

// WithRequest returns a context in which Run knows the request.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// FromContext returns the request that ctx belongs to, if it has an idempotency key.
func FromContext(ctx context.Context) (Request, bool) {
	r, ok := ctx.Value(contextKey{}).(Request)
	return r, ok
}

// Run runs fn in one transaction and stores its result, as JSON, in that transaction under the Request in ctx. If a
// result is already stored, fn does not run, and the stored one is returned with replayed set. Without a Request in
// ctx, Run is postgres.InTx.
//
// It returns ErrInUse while another request with the key runs, ErrReused if the key was used with another fingerprint,
// and what postgres.InTx returns. If fn fails, its error is returned and nothing is stored, so the caller may try again
// with the same key. As with postgres.InTx, fn may run again after PostgreSQL aborted its transaction.
func Run[T any](
	ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) (T, error),
) (result T, replayed bool, err error) {
	request, ok := FromContext(ctx)
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		var zero T
		result, replayed = zero, false
		if !ok {
			result, err = fn(tx)
			return err
		}
		stored, err := claim(ctx, tx, request)
		if err != nil {
			return err
		}
		if stored != nil {
			replayed = true
			return json.Unmarshal(stored, &result)
		}
		if result, err = fn(tx); err != nil {
			return err
		}
		return store(ctx, tx, request, result)
	})
	if err != nil {
		var zero T
		return zero, false, err
	}
	return result, replayed, nil
}

// claim takes the request's lock until the end of the transaction, and returns the stored answer, or nil if there is
// none.
func claim(ctx context.Context, tx pgx.Tx, r Request) (stored []byte, err error) {
	// Two statements in one round trip. One statement would not do: it would look at the table as it was before the
	// lock was free, and miss the answer that its last holder stored.
	var batch pgx.Batch
	var locked, same bool
	batch.Queue("select pg_try_advisory_xact_lock($1)", r.lockID()).QueryRow(func(row pgx.Row) error {
		return row.Scan(&locked)
	})
	batch.Queue(`
		select fingerprint = $3, response from idempotency_keys
		where caller = $1 and key = $2 and expires_at > clock_timestamp()`,
		r.Caller, r.Key, r.Fingerprint).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&same, &stored)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("idempotency: claim the key: %w", err)
	}
	// An answer that is visible without the lock is final as well.
	switch {
	case stored == nil && !locked:
		return nil, ErrInUse
	case stored != nil && !same:
		return nil, ErrReused
	}
	return stored, nil
}

func store(ctx context.Context, tx pgx.Tx, r Request, result any) error {
	response, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("idempotency: encode the answer: %w", err)
	}
	// What is there can only be an expired answer.
	_, err = tx.Exec(ctx, `
		insert into idempotency_keys (caller, key, fingerprint, response, created_at, expires_at)
		values ($1, $2, $3, $4, clock_timestamp(), clock_timestamp() + $5)
		on conflict (caller, key) do update set fingerprint = excluded.fingerprint, response = excluded.response,
			created_at = excluded.created_at, expires_at = excluded.expires_at`,
		r.Caller, r.Key, r.Fingerprint, response, Lifetime)
	if err != nil {
		return fmt.Errorf("idempotency: store the answer: %w", err)
	}
	return nil
}

// Purge removes expired answers and returns how many there were. A service calls it from time to time.
func Purge(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	n, err := postgres.DeleteInBatches(ctx, pool, `
		delete from idempotency_keys where (caller, key) in (
			select caller, key from idempotency_keys where expires_at <= clock_timestamp()
			order by expires_at limit $1 for update skip locked)`)
	if err != nil {
		return n, fmt.Errorf("idempotency: purge: %w", err)
	}
	return n, nil
}
