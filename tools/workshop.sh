#!/usr/bin/env bash
# workshop.sh [CHAPTERS]: follows the workshop from an empty data directory: types every step of docs/workshop, and holds that every
# check is false before its chapter and true after it. CHAPTERS such as 3, 1-7 or 0-4,9 are judged; those before them are followed
# only. Without it, all that this machine is sure to have (docs/workshop/AUTHORS.md). KARTSHOPPE_BIN names another binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

prepare_browser_run
work=$(work_folder)
runner=''
finish() {
  local status=$?
  if [ -n "$runner" ] && kill -TERM "$runner" 2>/dev/null; then wait "$runner" || true; fi
  nothing_left "the workshop" "$work/" || status=1
  tools/delete-work.sh "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

http=$(free_port)
admin=$(free_port)
# `make run` in a step starts this binary and builds nothing. No other database is touched.
env -u DATABASE_URL -u KARTSHOPPE__POSTGRES__DATABASE_URL -u KARTSHOPPE_PROFILE -u MAKEFLAGS -u MAKELEVEL -u ARGS \
  KARTSHOPPE_BIN="$binary" KARTSHOPPE__DATA_DIR="$work/data" \
  KARTSHOPPE__HTTP__LISTEN=127.0.0.1:"$http" KARTSHOPPE__ADMIN__LISTEN=127.0.0.1:"$admin" \
  "$binary" workshop follow "${1:-}" &
runner=$!
status=0
wait "$runner" || status=$?
runner=''
exit "$status"
