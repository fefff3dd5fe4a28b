#!/usr/bin/env bash
# Takes the pictures of docs/workshop from the real program, in the order of the chapters: docs/pictures/workshop-*.webp, or the folder
# given. KARTSHOPPE_BIN names another binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

folder=${1:-docs/pictures}
binary=${KARTSHOPPE_BIN:-$root/target/debug/kartshoppe}
[ -x "$binary" ] || fail "$binary is not there: cargo test --no-run"
KARTSHOPPE_CHROMIUM=$(find_browser) || fail "no Chromium: apt-get install chromium, or set KARTSHOPPE_CHROMIUM"
[ -n "${KARTSHOPPE__POSTGRES__BIN_DIR:-}" ] || KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE_CHROMIUM KARTSHOPPE__POSTGRES__BIN_DIR
tools/ui.sh

work=$(mktemp -d)
# The private PostgreSQL of a server that runs as root runs as another user, who must get through here.
chmod 711 "$work"
server=''
finish() {
  local status=$?
  if [ -n "$server" ]; then stop_server "$server" "$work" || status=1; fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

http=$(free_port)
admin=$(free_port)
export KARTSHOPPE__DATA_DIR=$work/data
env -u DATABASE_URL KARTSHOPPE__HTTP__LISTEN=127.0.0.1:"$http" KARTSHOPPE__ADMIN__LISTEN=127.0.0.1:"$admin" KARTSHOPPE__FAULTS__ENABLED=true \
  "$binary" serve --roles api >"$work/server.log" 2>&1 &
server=$!
wait_ready "$KARTSHOPPE__DATA_DIR" "$server" 120 >/dev/null
mkdir -p "$folder"
node tools/workshop-pictures.mjs "http://127.0.0.1:$http" "http://127.0.0.1:$admin" "$folder"
