#!/usr/bin/env bash
# with-kafka.sh COMMAND...: runs a command on Kafka: the brokers of KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS, or else one that is
# started for it, keeps its data in the data directory and stops after it. The data directory is one of its own unless
# KARTSHOPPE__DATA_DIR names it, as a database belongs to one log.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
load_dotenv

export KARTSHOPPE__LOG__KIND=kafka
export KARTSHOPPE__DATA_DIR=${KARTSHOPPE__DATA_DIR:-.kartshoppe-kafka}
[ -z "${KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS:-}" ] || exec "$@"

tools/doctor.sh kafka
broker=$KARTSHOPPE__DATA_DIR/kafka
child=''
finish() {
  tools/kafka/broker.sh stop "$broker"
  say "Kafka's broker is stopped; its data stays in $broker"
}
trap finish EXIT
# The command has a process group of its own, and is told to stop by us alone: the broker stops after it.
trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true' HUP INT TERM
KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS=$(tools/kafka/broker.sh start "$broker")
export KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS
say "Kafka's broker serves at $KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS"

set -m
"$@" &
child=$!
set +m
status=0
while kill -0 "$child" 2>/dev/null; do
  status=0
  wait "$child" || status=$?
done
exit "$status"
