#!/usr/bin/env bash
# The shop with Prometheus, and Jaeger where it was built, without containers. Arguments go to `kartshoppe serve`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
load_dotenv
have prometheus || fail "Prometheus is needed: apt-get install prometheus (and systemctl disable --now prometheus, which it starts)"
JAEGER_BIN=$(tools/telemetry/jaeger.sh --built || true)
export JAEGER_BIN
exec node tools/telemetry/run-obs.mjs "$@"
