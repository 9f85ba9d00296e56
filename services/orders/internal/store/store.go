// Package store keeps orders and their timelines in PostgreSQL. It knows tables and indexes, but no rule about orders:
// package order decides what may be written.
package store

import (
	"embed"

	"github.com/orderflow/orderflow/pkg/postgres"
)

//go:embed migrations/*.sql backfills/*.sql
var migrations embed.FS

// Migrations is the schema of the orders service's own tables.
var Migrations = postgres.Migrations{Name: "orders", FS: migrations}
