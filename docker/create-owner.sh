#!/bin/sh
# Runs once, on the first start of an empty volume: the login that migrates. It is no superuser; it may make the
# application's logins (CREATEROLE) and owns the one database.
set -eu
owner_password="$(cat /run/secrets/postgres_owner_password)"
psql --set=ON_ERROR_STOP=1 --set=password="$owner_password" --username=postgres --dbname=portal <<'SQL'
CREATE ROLE zt_owner LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOBYPASSRLS PASSWORD :'password';
ALTER DATABASE portal OWNER TO zt_owner;
SQL
