#!/usr/bin/env bash
# The telemetry against real backends: Prometheus (Debian's), and Jaeger, built once from its Go module (ten minutes). Every expression
# of dashboards and rules must return data after a scripted session, alerts fire when their cause is brought about and clear when it is
# taken away, and a purchase is one trace, from the click in a real browser to the repaint of another page.
#   WITHOUT_JAEGER=1   leaves traces, browser and the collector out
#   test-telemetry.sh kafka   the same on Kafka, whose dashboard has data then
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
if [ "${1:-}" = kafka ]; then
  data=$(mktemp -d)
  trap 'tools/delete-work.sh "$data"' EXIT
  KARTSHOPPE__DATA_DIR=${KARTSHOPPE__DATA_DIR:-$data} tools/with-kafka.sh tools/test-telemetry.sh
  exit
fi

for program in prometheus promtool; do have "$program" || fail "$program is needed: apt-get install prometheus"; done
promtool check config otel/prometheus/prometheus.yml >&2
(cd otel/prometheus && promtool test rules rules_test.yml) >&2
node otel/grafana/dashboards.mjs --check
if [ -z "${WITHOUT_JAEGER:-}" ]; then
  JAEGER_BIN=$(tools/telemetry/jaeger.sh)
  KARTSHOPPE_CHROMIUM=$(find_browser) || fail "no Chromium: apt-get install chromium, or set KARTSHOPPE_CHROMIUM"
  export JAEGER_BIN KARTSHOPPE_CHROMIUM
  tools/ui.sh
else
  skipped "the traces: WITHOUT_JAEGER is set"
fi
binary=${KARTSHOPPE_BIN:-$root/target/debug/kartshoppe}
[ -x "$binary" ] || tools/cargo.sh build --locked
[ -n "${KARTSHOPPE__POSTGRES__BIN_DIR:-}" ] || KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
work=$(work_folder)
finish() {
  [ -z "${SMALL_DISK:-}" ] || umount -l "$work/data"
  tools/delete-work.sh "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
# A disk that can be filled without harm to others.
mkdir "$work/data"
if mount -t tmpfs -o size=512m,mode=711 tmpfs "$work/data" 2>/dev/null; then export SMALL_DISK=1; fi
env -u DATABASE_URL node tools/telemetry/test.mjs "$binary" "$work"
