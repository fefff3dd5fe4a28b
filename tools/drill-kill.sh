#!/usr/bin/env bash
# Buys and breaks at the same time, then gives the verdict: the bounded default plan of `kartshoppe drill`.
# Arguments go to `kartshoppe drill`; LOG=kafka runs it on Kafka.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
load_dotenv
tools/doctor.sh run
KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
tools/ui.sh
tools/cargo.sh build --release --locked
case ${LOG:-embedded} in
  embedded) exec target/release/kartshoppe drill "$@" ;;
  kafka)
    tools/doctor.sh kafka
    exec target/release/kartshoppe drill --broker tools/kafka/broker.sh "$@"
    ;;
  *) fail "LOG is embedded or kafka, not $LOG" ;;
esac
