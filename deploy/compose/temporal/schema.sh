#!/bin/sh
# Brings Temporal's two databases up to date. It is repeatable; the connection is in SQL_*.
set -eu

update() { # database, schema
	temporal-sql-tool --db "$1" setup-schema -v 0.0
	temporal-sql-tool --db "$1" update-schema -d "/etc/temporal/schema/postgresql/v12/$2/versioned"
}

update temporal temporal
update temporal_visibility visibility
