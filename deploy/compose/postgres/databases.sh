#!/bin/sh
# A database for each service, owned by a role that can open no other. PostgreSQL's image runs this when it makes a new
# cluster.
set -eu

database() { # name, owner
	psql --dbname postgres -v ON_ERROR_STOP=1 -v name="$1" -v owner="$2" <<-'SQL'
		CREATE DATABASE :"name" OWNER :"owner";
		REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
	SQL
}

role() { # name, password
	psql --dbname postgres -v ON_ERROR_STOP=1 -v name="$1" -v password="$2" <<-'SQL'
		CREATE ROLE :"name" LOGIN PASSWORD :'password';
	SQL
}

export PGUSER="$POSTGRES_USER"

role orders "$ORDERS_DB_PASSWORD"
role payments "$PAYMENTS_DB_PASSWORD"
role inventory "$INVENTORY_DB_PASSWORD"
role shipping "$SHIPPING_DB_PASSWORD"
role temporal "$TEMPORAL_DB_PASSWORD"

for service in orders payments inventory shipping; do
	database "$service" "$service"
done
database temporal temporal
database temporal_visibility temporal

psql --dbname postgres -v ON_ERROR_STOP=1 <<-'SQL'
	REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
SQL
