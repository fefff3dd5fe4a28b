#!/usr/bin/env bash
# The telemetry against real backends: Prometheus (Debian's), and Jaeger, built once from its Go module (ten minutes). Every expression
# of dashboards and rules must return data after a scripted session, alerts fire and clear, and a purchase is one trace.
#   WITHOUT_JAEGER=1   leaves traces out
# On Kafka: tools/with-kafka.sh tools/test-telemetry.sh
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

for program in prometheus promtool; do have "$program" || fail "$program is needed: apt-get install prometheus"; done
promtool check config otel/prometheus/prometheus.yml >&2
(cd otel/prometheus && promtool test rules rules_test.yml) >&2
node otel/grafana/dashboards.mjs --check
if [ -z "${WITHOUT_JAEGER:-}" ]; then
  JAEGER_BIN=$(tools/telemetry/jaeger.sh)
  export JAEGER_BIN
else
  skipped "the traces: WITHOUT_JAEGER is set"
fi
binary=${KARTSHOPPE_BIN:-$root/target/debug/kartshoppe}
[ -x "$binary" ] || tools/cargo.sh build --locked
[ -n "${KARTSHOPPE__POSTGRES__BIN_DIR:-}" ] || KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
work=$(mktemp -d)
# The private PostgreSQL of a server that runs as root runs as another user, who must get through here.
chmod 711 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
env -u DATABASE_URL node tools/telemetry/test.mjs "$binary" "$work"
