#!/usr/bin/env bash
# Renews .sqlx/, the offline data against which SQL is checked when the crate is built: a throw-away PostgreSQL, the
# migrations in order, then one build whose query macros ask that server and write down its answers.
#   sqlx.sh            renews
#   sqlx.sh --check    fails if .sqlx/ is not what the sources and migrations give
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

bin=$(tools/postgres/bin-dir.sh)
work=$(mktemp -d)
# PostgreSQL refuses to run as root: then it runs as the user `nobody`, in a directory of that user.
as_owner=()
if [ "$(id -u)" = 0 ]; then
  have setpriv || fail "as root, setpriv (package util-linux) is needed to start PostgreSQL as another user"
  as_owner=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$work")
  chown 65534:65534 "$work"
fi
owner() { (cd "$work" && "${as_owner[@]}" "$@"); }

finish() {
  owner "$bin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

port=$(free_port)
owner "$bin/initdb" -D "$work/data" -U kartshoppe -A trust -E UTF8 --no-locale --no-sync >"$work/initdb.log" ||
  fail "initdb failed: $(tail -n 3 "$work/initdb.log")"
owner "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w start >/dev/null \
  -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c wal_level=logical -c fsync=off" ||
  fail "PostgreSQL did not start: $(tail -n 3 "$work/data/log")"
url=postgres://kartshoppe@127.0.0.1:$port/postgres

say "sqlx: applying migrations/"
node tools/postgres/apply.mjs "$port" kartshoppe postgres $(ls migrations/*.sql | sort -V)

say "sqlx: asking the server about every query"
answers=$work/answers
mkdir -p "$answers"
# The macros run when the crate is compiled, and the crate is compiled when a source is newer than the last build.
touch src/lib.rs src/main.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$answers DATABASE_URL=$url tools/cargo.sh check --locked --all-targets
touch src/lib.rs src/main.rs

if [ "${1:-}" = --check ]; then
  diff -rq "$answers" .sqlx >&2 || fail ".sqlx/ is out of date: make sqlx, and commit what changed"
else
  mkdir -p .sqlx
  find .sqlx -name 'query-*.json' -delete
  find "$answers" -name 'query-*.json' -exec cp {} .sqlx/ \;
fi
say "sqlx: $(find "$answers" -name 'query-*.json' | wc -l | tr -d ' ') queries"
