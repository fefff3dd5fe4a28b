#!/usr/bin/env bash
# Known holes, licences and sources of everything that is built in: crates with cargo-deny (deny.toml), the page's packages with
# `npm audit`. Fails on a finding. What cannot be asked here, because a tool or its database is out of reach, is said in a line
# and passed over: a network that is down is no finding.
#   audit.sh             with what is installed
#   audit.sh --install   fetches cargo-deny first, which takes minutes
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

unasked() { say "NOT CHECKED: $*"; }

# Licences and sources need the crates' own manifests, as cargo has fetched them for the build; known holes a database from the network.
crates() {
  if ! cargo deny --version >/dev/null 2>&1; then
    [ "${1:-}" = --install ] || { unasked "licences, sources and known holes of crates: no cargo-deny (tools/audit.sh --install)"; return 0; }
    cargo install --locked cargo-deny || { unasked "licences, sources and known holes of crates: cargo-deny cannot be fetched"; return 0; }
  fi
  cargo deny --locked --log-level error check bans licenses sources >&2
  if cargo deny --log-level off fetch db >/dev/null 2>&1; then
    cargo deny --locked --log-level error check --disable-fetch advisories >&2
  else
    unasked "known holes of crates: the database of advisories cannot be reached"
  fi
}

packages() {
  local report
  report=$(cd ui && npm audit --json --omit=dev 2>/dev/null) || true
  node -e '
    const text = require("fs").readFileSync(0, "utf8")
    let counts
    try { counts = JSON.parse(text).metadata.vulnerabilities } catch { process.exit(3) }
    console.error(`kartshoppe: npm audit: ${counts.critical} critical, ${counts.high} high, ${counts.total} in all`)
    process.exit(counts.critical + counts.high > 0 ? 1 : 0)
  ' <<<"$report" || {
    [ $? = 3 ] || fail "packages of the page have known holes: (cd ui && npm audit)"
    unasked "known holes of the page's packages: the registry does not answer npm audit"
  }
}

crates "${1:-}"
packages
say "audit: no finding in what could be checked"
