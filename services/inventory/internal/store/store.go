// Package store keeps stock and reservations in PostgreSQL: the migrations, the queries (package db, made by sqlc), and
// the staging table of an import, which is beyond sqlc because it exists for one transaction only. It must not know why
// anything is stored.
package store

import (
	"embed"

	"github.com/orderflow/orderflow/pkg/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the service's own tables.
var Migrations = postgres.Migrations{Name: "inventory", FS: files}
