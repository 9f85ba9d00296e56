package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/orderflow/orderflow/pkg/errs"
)

var (
	errUnavailable = errs.New(errs.Unavailable, "database_unavailable",
		"The service cannot reach its database. Please try again.")
	errCommitUnknown = errs.New(errs.OutcomeUnknown, "database_outcome_unknown",
		"The connection to the database was lost while the change was being saved. Please try again.")
)

// The codes of PostgreSQL (appendix A of its manual) that need an answer of their own. A class is the first two
// characters of a code.
const (
	classConnection            = "08"
	classInsufficientResources = "53"
	codeReadOnly               = "25006"
	codeIdleInTransaction      = "25P03"
	codeUniqueViolation        = "23505"
	codeLockNotAvailable       = "55P03"
	codeSerializationFailure   = "40001"
	codeDeadlock               = "40P01"
	prefixOperatorIntervention = "57P0"
)

// Interpret is the one place that turns the driver's errors into failures of pkg/errs: what says that the database is
// down, shutting down, starting, read-only, out of resources, or busy with conflicting transactions becomes
// errs.Unavailable with the cause. Everything else, such as a broken constraint, a failure of pkg/errs or the end of
// the caller's context, is returned unchanged.
func Interpret(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	if isUnreachable(err) || isAborted(err) {
		return errUnavailable.WithCause(err)
	}
	return err
}

// ConstraintName returns the name of the constraint that err reports as broken, or "".
func ConstraintName(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.ConstraintName
	}
	return ""
}

// IsUnique reports whether err says that a unique key is already taken; ConstraintName tells which.
func IsUnique(err error) bool {
	return code(err) == codeUniqueViolation
}

func code(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

// isAborted reports whether PostgreSQL gave up this transaction so that another one could go on.
func isAborted(err error) bool {
	c := code(err)
	return c == codeSerializationFailure || c == codeDeadlock
}

// isRefused reports whether a commit that failed with err has certainly not happened: it was never sent, or PostgreSQL
// answered it.
func isRefused(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.SeverityUnlocalized == "ERROR" {
		return true
	}
	return errors.Is(err, pgx.ErrTxCommitRollback) || pgconn.SafeToRetry(err)
}

// isUnreachable reports whether err says that the database cannot be used now.
func isUnreachable(err error) bool {
	// Whatever a database says at the door (it is closed, it is not there yet, the password is being changed), it is no
	// answer to a request. Only a caller who gave up is not told so.
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	if connecting && !errors.Is(err, context.Canceled) {
		return true
	}
	if c := code(err); c != "" {
		return strings.HasPrefix(c, classConnection) || strings.HasPrefix(c, classInsufficientResources) ||
			strings.HasPrefix(c, prefixOperatorIntervention) || c == codeReadOnly || c == codeIdleInTransaction
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, puddle.ErrClosedPool)
}
