#!/usr/bin/env bash
# with-kafka.sh COMMAND...: runs a command on Kafka: the brokers of KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS, or else one that is
# started for it, keeps its data in the data directory and stops after it, unless an open shop uses it. The data directory is
# one of its own unless KARTSHOPPE__DATA_DIR names it, as a database belongs to one log.
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
# The shop that is open on this data directory; fails if none is.
shop_open() {
  local pid
  pid=$(cat "$KARTSHOPPE__DATA_DIR/lock" 2>/dev/null) && ps -ww -o args= -p "$pid" 2>/dev/null | grep -q 'kartshoppe serve' && echo "$pid"
}
finish() {
  local other
  # Our own command has ended: what is open now uses the same broker.
  if other=$(shop_open); then
    say "Kafka's broker goes on: the shop of process $other uses it"
    return
  fi
  tools/kafka/broker.sh stop "$broker"
  say "Kafka's broker is stopped; its data stays in $broker"
}
trap finish EXIT
# The command has a process group of its own, and gets signals from this script only: the broker stops after it.
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
