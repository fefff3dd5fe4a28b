#!/usr/bin/env bash
# Proves that a normal user can open the shop: starts the built binary as that user, with an empty data directory and a
# private PostgreSQL from the npm package, waits for /readyz, stops it with SIGTERM, and says what it saw. As root it does so
# as the user `nobody`; otherwise as the user who calls it. KARTSHOPPE_BIN names another binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

binary=${KARTSHOPPE_BIN:-$root/target/debug/kartshoppe}
[ -x "$binary" ] || fail "$binary is not there: cargo build"
bin_dir=$(tools/postgres/bin-dir.sh --npm)

work=$(mktemp -d)
server=''
finish() {
  local status=$?
  if [ -n "$server" ]; then stop_server "$server" "$work" || true; fi
  if [ "$status" != 0 ] && [ -f "$work/server.log" ]; then tail -n 40 "$work/server.log" >&2; fi
  tools/delete-work.sh "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# What the binary reads when it starts is copied to where that user can reach it; nothing else of the clone is used.
mkdir -p "$work/home/config"
cp "$binary" "$work/home/kartshoppe"
cp -R config data "$work/home/"
as_user=(env -i)
name=$(id -un)
if [ "$(id -u)" = 0 ]; then
  have setpriv || fail "as root, setpriv (package util-linux) is needed to become another user"
  as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups env -i)
  name="uid 65534"
  chmod a+rx "$work"
  chown -R 65534:65534 "$work/home"
fi

http=$(free_port)
admin=$(free_port)
started=$(date +%s)
(
  cd "$work/home"
  exec "${as_user[@]}" HOME="$work/home" PATH=/usr/bin:/bin \
    KARTSHOPPE__HTTP__LISTEN=127.0.0.1:"$http" KARTSHOPPE__ADMIN__LISTEN=127.0.0.1:"$admin" \
    KARTSHOPPE__POSTGRES__BIN_DIR="$bin_dir" ./kartshoppe serve
) >"$work/server.log" 2>&1 &
server=$!
url=$(wait_ready "$work/home/.kartshoppe" "$server" 120)
ready=$(($(date +%s) - started))
owner=$(ps -o uid= -p "$server" | tr -d ' ')
products=$(node -e 'fetch(process.argv[1]).then((r) => r.json()).then((s) => console.log(s.totalProducts))' \
  "$url/api/ecommerce/inventory/state")

pid=$server
server=''
stop_server "$pid" "$work" || fail "the server did not stop cleanly"
say "as $name (uid $owner): ready after $ready s with $products products on $("$bin_dir/postgres" --version), stopped by SIGTERM"
[ "$owner" != 0 ] || fail "the server ran as root"
[ "$products" = 200 ] || fail "expected the 200 products of data/initial-products.json, got $products"
