#!/usr/bin/env bash
# `docker compose` with a clear word where it, or the file it needs, is missing. Arguments go to it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
[ -f compose.yml ] || fail "there is no compose.yml yet; without containers: make run"
docker compose version >/dev/null 2>&1 || fail "docker with its compose plugin is needed; without containers: make run"
exec docker compose "$@"
