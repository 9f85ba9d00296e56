// Package store keeps the tables of the payments service: their migrations and, in db, the generated queries. It must
// not know what a payment may do; the domain asks, inside its own transactions.
package store

import (
	"embed"

	"github.com/orderflow/orderflow/pkg/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the schema of the payments service.
var Migrations = postgres.Migrations{Name: "payments", FS: files}
