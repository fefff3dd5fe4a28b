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
small=''
case " $* " in
  *" --plan disk "*)
    # A file system of its own, to be filled.
    small=$(mktemp -d)
    chmod 755 "$small"
    mount -t tmpfs -o size=512m tmpfs "$small" || fail "the plan disk needs a small file system: run it as root"
    trap 'umount "$small" && rmdir "$small"' EXIT
    ;;
esac
case ${LOG:-embedded} in
  embedded)
    [ -n "$small" ] || exec target/release/kartshoppe drill "$@"
    target/release/kartshoppe drill --folder "$small/drill" "$@"
    ;;
  kafka)
    tools/doctor.sh kafka
    exec target/release/kartshoppe drill --broker tools/kafka/broker.sh "$@"
    ;;
  *) fail "LOG is embedded or kafka, not $LOG" ;;
esac
