#!/usr/bin/env bash
# Starts the built binary on free ports with a data directory of its own, runs the browser tests of ui/ against it, and
# stops it. KARTSHOPPE_BIN names another binary; REPORT is where Playwright's JSON report goes; arguments go to Playwright.
# The tests find the binary in KARTSHOPPE_BINARY, the shop in KARTSHOPPE_URL, the operators' listener in KARTSHOPPE_ADMIN_URL and the browser in
# KARTSHOPPE_CHROMIUM.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

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
  if [ "$status" != 0 ] && [ -f "$work/server.log" ]; then
    say "the server's last words:"
    tail -n 40 "$work/server.log" >&2
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

http=$(free_port)
admin=$(free_port)
export KARTSHOPPE__DATA_DIR=$work/data
env -u DATABASE_URL \
  KARTSHOPPE__HTTP__LISTEN=127.0.0.1:"$http" KARTSHOPPE__ADMIN__LISTEN=127.0.0.1:"$admin" KARTSHOPPE__FAULTS__ENABLED=true \
  "$binary" serve >"$work/server.log" 2>&1 &
server=$!
wait_ready "$KARTSHOPPE__DATA_DIR" "$server" 120 >/dev/null

reporters=list
if [ -n "${REPORT:-}" ]; then
  reporters=list,json
  export PLAYWRIGHT_JSON_OUTPUT_FILE=$REPORT
fi
(cd ui && KARTSHOPPE_BINARY=$binary KARTSHOPPE_URL=http://127.0.0.1:$http KARTSHOPPE_ADMIN_URL=http://127.0.0.1:$admin \
  npm run --silent e2e -- --reporter="$reporters" "$@")
