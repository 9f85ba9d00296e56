package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Database is one database with the role that owns it and is the only one to open it.
type Database struct {
	Name     string
	Role     string
	Password string
}

// Provision creates what is missing and sets the passwords; it is idempotent. AdminURL must be that of a
// superuser. Shut names existing databases that ordinary roles must not open either.
func Provision(ctx context.Context, adminURL string, databases []Database, shut ...string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("open PostgreSQL as administrator: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()

	for _, db := range databases {
		if err := provision(ctx, conn, db); err != nil {
			return fmt.Errorf("prepare database %s: %w", db.Name, err)
		}
	}
	for _, name := range shut {
		if err := closeToPublic(ctx, conn, name); err != nil {
			return err
		}
	}
	return nil
}

func provision(ctx context.Context, conn *pgx.Conn, db Database) error {
	exists := func(query, name string) (found bool, err error) {
		err = conn.QueryRow(ctx, query, name).Scan(&found)
		return found, err
	}
	role, err := exists("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", db.Role)
	if err != nil {
		return err
	}
	verb := "CREATE"
	if role {
		verb = "ALTER"
	}
	// Neither names nor passwords can be parameters of these statements; the server quotes them.
	statement := verb + " ROLE %I WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L"
	if err := execFormat(ctx, conn, statement, db.Role, db.Password); err != nil {
		return err
	}
	database, err := exists("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", db.Name)
	if err != nil {
		return err
	}
	if !database {
		if err := execFormat(ctx, conn, "CREATE DATABASE %I OWNER %I", db.Name, db.Role); err != nil {
			return err
		}
	}
	return closeToPublic(ctx, conn, db.Name)
}

func closeToPublic(ctx context.Context, conn *pgx.Conn, database string) error {
	return execFormat(ctx, conn, "REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC", database)
}

func execFormat(ctx context.Context, conn *pgx.Conn, format string, args ...string) error {
	var statement string
	if err := conn.QueryRow(ctx, "SELECT format($1, VARIADIC $2::text[])", format, args).Scan(&statement); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, statement)
	return err
}

// URL returns how the database's role opens it on the server of adminURL.
func (db Database) URL(adminURL string) (string, error) {
	u, err := ParseAdminURL(adminURL)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(db.Role, db.Password)
	u.Path = "/" + db.Name
	return u.String(), nil
}

// ParseAdminURL accepts what devstack can derive the URLs of other databases from.
func ParseAdminURL(adminURL string) (*url.URL, error) {
	u, err := url.Parse(adminURL)
	// The URL holds a password, so no error may repeat it.
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") || u.Hostname() == "" || u.User == nil {
		return nil, errors.New("DATABASE_URL must look like postgres://admin:password@host:port/postgres")
	}
	if u.Port() == "" {
		u.Host += ":5432"
	}
	return u, nil
}
