// Package store keeps the shipments: the migrations of the service's tables and, in db, the queries that sqlc checked
// against them. It must not know what a state means or which move is legal.
package store

import (
	"embed"

	"github.com/orderflow/orderflow/pkg/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations make the service's own tables.
var Migrations = postgres.Migrations{Name: "shipping", FS: files}
