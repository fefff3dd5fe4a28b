#!/usr/bin/env bash
# One Kafka broker without containers: KRaft, one node, on the loopback, all that it keeps in a directory of its own.
#   broker.sh start DIR [SETTING=VALUE | --format-option]...
#                          starts it unless it runs, waits until it serves, prints host:port. The first start chooses free
#                          ports and writes DIR/server.properties with the settings given; later starts keep both.
#   broker.sh stop DIR     asks it to stop and waits; what it keeps stays
#   broker.sh kill DIR     kill -9
#   broker.sh hold DIR ... starts it and holds it for as long as standard input is open: then it is killed and DIR deleted.
#                          So it ends with the process that started it, even if that is killed.
#   broker.sh address DIR  host:port of a broker that was started before
#   broker.sh tool CLASS ARGUMENT...   one of Kafka's command-line tools, as org.apache.kafka.tools.TopicCommand
# Clients use the listener CLIENT: `listener.security.protocol.map` says whether they need TLS or a password. KAFKA_JVM holds
# further options of the broker's JVM.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"

# A first start on a loaded machine takes 15 s or more; only a broker that hangs reaches this.
ready_seconds=120

command=${1:-}
java=$(find_java) || fail "Java >= $java_oldest is needed for Kafka: apt-get install default-jdk-headless"
libs=$("$here/fetch.sh")

# Runs a class of Kafka's.
kafka() {
  "$java" -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.xml" -Dkartshoppe.level=WARN \
    -cp "$libs/*" "$@"
}

if [ "$command" = tool ]; then
  shift
  kafka "$@"
  exit
fi

[ $# -ge 2 ] || fail "usage: broker.sh start|stop|kill|hold|address DIR, or broker.sh tool CLASS ARGUMENT..."
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2

# The process of this directory's broker; fails if none runs. The number alone proves nothing: it may be another's by now.
running() {
  local pid
  pid=$(cat "$dir/pid" 2>/dev/null) || return 1
  ps -ww -o args= -p "$pid" 2>/dev/null | grep -qF "$dir/server.properties" && echo "$pid"
}

# A cluster's name, and three free ports, from below the range that connections leave from: a client that asks a port of that
# range again and again while its broker is down is, sooner or later, connected to itself and takes it.
invent() {
  node -e '
    const { createServer } = require("net"), found = new Set();
    const name = "k" + require("crypto").randomBytes(16).toString("base64url").slice(1);
    const next = () => {
      if (found.size === 3) return console.log(name, ...found);
      const port = 10000 + Math.floor(Math.random() * 20000), server = createServer();
      server.once("error", next).listen(port, "127.0.0.1", () => server.close(() => { found.add(port); next(); }));
    };
    next();'
}

# format [SETTING=VALUE | --format-option]...: writes server.properties and formats the directory.
format() {
  local cluster client internal controller option options=() settings=()
  for option in "$@"; do
    case $option in
      --*) options+=("${option%%=*}" "${option#*=}") ;;
      *) settings+=("$option") ;;
    esac
  done
  read -r cluster client internal controller < <(invent)
  {
    cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listeners=CLIENT://127.0.0.1:$client,INTERNAL://127.0.0.1:$internal,CONTROLLER://127.0.0.1:$controller
listener.security.protocol.map=CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data

# Topics are made by name and policy (kartshoppe topics create), never by a typing error.
auto.create.topics.enable=false
# One node: every replica there is.
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
# A broker that was killed reads the past of groups and transactions before it serves them, and gets confused if that takes seconds
# (docs/adr/0008): in short segments most of it is compacted away soon (default 100 MB).
offsets.topic.segment.bytes=1048576
transaction.state.log.segment.bytes=1048576
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The first member of a group need not wait for others to join.
group.initial.rebalance.delay.ms=0
# A transaction whose writer was killed is aborted within a second of its time-out (default 10 s).
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# A test may ask for a shorter session than the 6 s that a broker otherwise grants at least.
group.min.session.timeout.ms=1000
# The cleaner looks for work every quarter of a second, so that compaction can be seen (default 15 s), in few buffers (default 128 MB).
log.cleaner.backoff.ms=250
log.cleaner.dedupe.buffer.size=16777216
# A deleted segment leaves the disk after a second (default 60 s).
log.segment.delete.delay.ms=1000
PROPERTIES
    [ ${#settings[@]} = 0 ] || printf '%s\n' "${settings[@]}"
  } >"$dir/server.properties.part"
  kafka kafka.tools.StorageTool format --cluster-id "$cluster" --config "$dir/server.properties.part" \
    "${options[@]}" >"$dir/format.log" 2>&1 ||
    fail "Kafka's storage could not be formatted: $(tail -n 5 "$dir/format.log")"
  mv "$dir/server.properties.part" "$dir/server.properties"
}

address() { sed -n 's|^listeners=CLIENT://\([^,]*\),.*|\1|p' "$dir/server.properties"; }

start() {
  local pid end=$((SECONDS + ready_seconds))
  ! running >/dev/null || return 0
  [ -f "$dir/server.properties" ] || format "$@"
  # In a process group of its own: Ctrl-C is for the one who uses the broker, who then stops it.
  set -m
  # shellcheck disable=SC2086 # several options
  "$java" -Xmx1g -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError ${KAFKA_JVM:-} -Dlog4j2.configurationFile="$here/log4j2.xml" \
    -cp "$libs/*" kafka.Kafka "$dir/server.properties" >"$dir/broker.log" 2>&1 </dev/null &
  pid=$!
  set +m
  disown "$pid"
  echo "$pid" >"$dir/pid"
  until grep -qs 'Kafka Server started' "$dir/broker.log"; do
    kill -0 "$pid" 2>/dev/null || fail "the broker ended; $dir/broker.log ends with: $(tail -n 5 "$dir/broker.log")"
    [ "$SECONDS" -lt "$end" ] || fail "the broker does not serve after $ready_seconds s; see $dir/broker.log"
    sleep 0.05
  done
}

# Does a process listen at the address? A process that was killed is gone from the list before its threads and ports are.
listens() {
  local at
  at=$(address)
  (exec 3<>"/dev/tcp/${at%:*}/${at#*:}") 2>/dev/null
}

# finish SIGNAL: sends it and waits for the end.
finish() {
  local pid
  pid=$(running) || return 0
  kill "-$1" "$pid" 2>/dev/null || true
  while running >/dev/null || listens; do sleep 0.05; done
  rm -f "$dir/pid"
}

case $command in
  start) start "$@" && address ;;
  stop) finish TERM ;;
  kill) finish KILL ;;
  address) address ;;
  hold)
    trap 'finish KILL; rm -rf "$dir"' EXIT
    trap 'exit 130' HUP INT TERM
    start "$@"
    address
    cat >/dev/null
    ;;
  *) fail "broker.sh: no such command: $command" ;;
esac
