#!/usr/bin/env bash
# A Kafka and a PostgreSQL as a provider runs them, on this machine: the broker takes TLS and a password only and grants permissions one by
# one; PostgreSQL takes TLS only, and no user that connects is a superuser. For the workshop; its passwords are no secrets.
#   workshop-managed.sh run DIR     starts both and writes DIR/env, the settings of a shop that uses them; stops both at Ctrl-C. What they keep stays
#   workshop-managed.sh grant DIR   gives the shop's Kafka user what it needs
#   workshop-managed.sh acls DIR    lists what it was given
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# = 2 ] || fail "usage: workshop-managed.sh run|grant|acls DIR"
command=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
user=shop
password=open-sesame
prefix=workshop.
# PostgreSQL refuses to run as root, and its user must reach its files.
pg=$dir/postgres
as_pg=()
if [ "$(id -u)" = 0 ]; then
  pg=/var/tmp/kartshoppe-managed-$(printf %s "$dir" | cksum | cut -d' ' -f1)
  as_pg=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
bin=$("$root/tools/postgres/bin-dir.sh")

# A CA of our own, and a certificate for this machine that it signed.
certificates() {
  [ ! -f "$dir/server.crt" ] || return 0
  have openssl || fail "openssl is needed: apt-get install openssl"
  cd "$dir"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj '/CN=A provider of the workshop' 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost 2>/dev/null
  printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n' >names
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.crt 2>/dev/null
  openssl pkcs12 -export -in server.crt -inkey server.key -certfile ca.crt -out server.p12 -passout pass:changeit
  cd "$root"
  # A cluster of an earlier CA would not fit.
  [ ${#as_pg[@]} = 0 ] || rm -rf "$pg"
}

start_kafka() {
  local module=org.apache.kafka.common.security.scram.ScramLoginModule
  "$root/tools/kafka/broker.sh" start "$dir/kafka" \
    listener.security.protocol.map=CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT \
    listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512 \
    "listener.name.client.scram-sha-512.sasl.jaas.config=$module required;" \
    listener.name.client.ssl.keystore.type=PKCS12 "listener.name.client.ssl.keystore.location=$dir/server.p12" \
    listener.name.client.ssl.keystore.password=changeit \
    authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer super.users=User:ANONYMOUS \
    "--add-scram=SCRAM-SHA-512=[name=$user,password=$password]"
}

start_postgres() {
  local port
  if [ ! -f "$pg/port" ]; then
    mkdir -p "$pg"
    cp "$dir/server.crt" "$dir/server.key" "$pg"
    chmod 600 "$pg/server.key"
    [ ${#as_pg[@]} = 0 ] || chown -R nobody:nogroup "$pg"
    "${as_pg[@]}" "$bin/initdb" -D "$pg/data" -U provider --auth=trust -E UTF8 --no-locale >"$dir/initdb.log" 2>&1 || fail "initdb failed: see $dir/initdb.log"
    port=$(free_port)
    "${as_pg[@]}" tee -a "$pg/data/postgresql.conf" >/dev/null <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$pg'
wal_level = logical
max_slot_wal_keep_size = '1GB'
ssl = on
ssl_cert_file = '$pg/server.crt'
ssl_key_file = '$pg/server.key'
CONF
    # The provider itself connects by a socket; all others need TLS and a password.
    printf 'local all provider trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n' | "${as_pg[@]}" tee "$pg/data/pg_hba.conf" >/dev/null
    "${as_pg[@]}" "$bin/pg_ctl" -D "$pg/data" -l "$pg/log" -w start >/dev/null
    sql postgres <<SQL
CREATE ROLE kartshoppe LOGIN PASSWORD '$password';
CREATE ROLE kartshoppe_cdc LOGIN REPLICATION PASSWORD '$password';
CREATE DATABASE kartshoppe OWNER kartshoppe;
SQL
    # What a shop's own administrator does: the tables are not there yet, so the reader may read what the shop will make.
    sql kartshoppe <<<'ALTER DEFAULT PRIVILEGES FOR ROLE kartshoppe IN SCHEMA public GRANT SELECT ON TABLES TO kartshoppe_cdc;'
    echo "$port" >"$pg/port"
  elif ! "${as_pg[@]}" "$bin/pg_ctl" -D "$pg/data" status >/dev/null; then
    "${as_pg[@]}" "$bin/pg_ctl" -D "$pg/data" -l "$pg/log" -w start >/dev/null
  fi
}

sql() { psql -qX -v ON_ERROR_STOP=1 -h "$pg" -p "$(sed -n 's/^port = //p' "$pg/data/postgresql.conf")" -U provider -d "$1"; }

# Kafka's own tool, on the listener that only the provider reaches.
acls() {
  local internal
  internal=$(sed -n 's|^listeners=.*INTERNAL://\([^,]*\),.*|\1|p' "$dir/kafka/server.properties")
  "$root/tools/kafka/broker.sh" tool org.apache.kafka.tools.AclCommand --bootstrap-server "$internal" "$@"
}

# What config/managed.toml lists, all of it on names that begin with the shop's prefix.
grant() {
  local allow=(--add --force --allow-principal "User:$user" --resource-pattern-type prefixed)
  acls "${allow[@]}" --topic "$prefix" --operation Create --operation Read --operation Write --operation Delete --operation DescribeConfigs
  acls "${allow[@]}" --group "$prefix" --operation Read
  acls "${allow[@]}" --transactional-id "$prefix" --operation Write
}

finish() {
  trap '' INT TERM
  "$root/tools/kafka/broker.sh" stop "$dir/kafka"
  [ ! -f "$pg/port" ] || "${as_pg[@]}" "$bin/pg_ctl" -D "$pg/data" -m fast -w stop >/dev/null || true
  say "both are stopped; what they keep stays in $dir"
}

run() {
  have psql || fail "psql is needed: apt-get install postgresql-client"
  certificates
  trap finish EXIT
  trap 'exit 130' INT TERM
  address=$(start_kafka)
  start_postgres
  tls="127.0.0.1:$(cat "$pg/port")/kartshoppe?sslmode=verify-full&sslrootcert=$dir/ca.crt"
  cat >"$dir/env" <<ENV
KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS='$address'
KARTSHOPPE__KAFKA__TOPIC_PREFIX='$prefix'
KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME='$user'
KARTSHOPPE__KAFKA__PROPERTIES__SASL_PASSWORD='$password'
KARTSHOPPE__KAFKA__PROPERTIES__SSL_CA_LOCATION='$dir/ca.crt'
DATABASE_URL='postgres://kartshoppe:$password@$tls'
KARTSHOPPE__CDC__DATABASE_URL='postgres://kartshoppe_cdc:$password@$tls'
ENV
  chmod 600 "$dir/env"
  say "Kafka takes TLS and a password at $address, PostgreSQL TLS on port $(cat "$pg/port"); the shop's settings are in $dir/env (Ctrl-C stops both)"
  while sleep 1; do :; done
}

case $command in
  run) run ;;
  grant) grant ;;
  acls) acls --list --principal "User:$user" ;;
  *) fail "workshop-managed.sh: no such command: $command" ;;
esac
