#!/usr/bin/env bash
# The figures of the shop as one table (benches/shop). Arguments: sections of it, `--short` for a run of two minutes; or `parts` for
# the parts by themselves (hot functions with criterion, the log, the read side), `kafka ...` for the engine on Kafka, `wal`
# for the WAL reader beside pg_recvlogical, or `console` for what the operators' console costs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
tools/doctor.sh run
tools/ui.sh
KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
# Figures are those of private servers: no other database is touched.
unset DATABASE_URL KARTSHOPPE__POSTGRES__DATABASE_URL
case "${1:-}" in
  parts) tools/cargo.sh bench --locked --bench hot --bench log_append --bench read_side ;;
  kafka) tools/cargo.sh bench --locked --bench kafka -- "${@:2}" ;;
  console)
    [ -n "${KARTSHOPPE_BIN:-}" ] || tools/cargo.sh build --profile dist --locked
    KARTSHOPPE_BIN=${KARTSHOPPE_BIN:-$root/target/dist/kartshoppe} node tools/console-cost.mjs "${@:2}"
    ;;
  wal) tools/cargo.sh bench --locked --bench wal -- "${@:2}" ;;
  *) tools/cargo.sh bench --locked --bench shop -- "$@" ;;
esac
