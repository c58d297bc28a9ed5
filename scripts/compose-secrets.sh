#!/bin/sh
# Makes what docker-compose.yml reads from .secrets/: random passwords, the master key, a private certificate
# authority and PostgreSQL's certificate. Makes nothing anew that is already there.
set -eu
if [ "${1:-}" = "--help" ]; then sed -n '2,3s/^# //p' "$0"; exit 0; fi
umask 077
directory="$(dirname "$0")/../.secrets"
mkdir -p "$directory"
cd "$directory"
if [ -e master_key ]; then echo "secrets are already there: $(pwd)"; exit 0; fi

random() { openssl rand -base64 32 | tr '+/' '-_' | tr -d '=\n'; }
superuser="$(random)"; owner="$(random)"; app="$(random)"; audit="$(random)"
printf %s "$superuser" > postgres_superuser_password
printf %s "$owner" > postgres_owner_password
printf %s "postgres://zt_owner:$owner@postgres:5432/portal" > database_owner_url
printf %s "postgres://portal_app:$app@postgres:5432/portal" > database_url
printf %s "postgres://portal_audit:$audit@postgres:5432/portal" > database_audit_url

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=portal private CA" \
  -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=postgres" \
  -keyout postgres.key -out postgres.csr 2>/dev/null
printf 'subjectAltName=DNS:postgres,DNS:localhost,IP:127.0.0.1\n' > postgres.ext
openssl x509 -req -in postgres.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile postgres.ext \
  -out postgres.crt 2>/dev/null
rm -f postgres.csr postgres.ext ca.srl
openssl rand -base64 32 > master_key
# The containers run as other users than you: they may read single files that are mounted, while the folder
# itself stays closed to everybody else on this machine. The authority's own key goes into no container.
chmod 0444 ./*
chmod 0400 ca.key
echo "made secrets in $(pwd)"
