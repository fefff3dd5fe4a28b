#!/usr/bin/env bash
# Sets up what is missing, then runs every test: the page's own (Vitest), the shop in a real browser (Playwright), and the
# Rust tests. All of them run even if one fails. Ends with their sum, counted from what the runners wrote.
# A flaky test, which passes when it is run again alone, is named and counted.
# What cannot run here is named on a line that starts with SKIPPED; with CI=true that is a failure.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

tools/doctor.sh test
KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
# The tests start private servers of their own: no other database is touched.
unset DATABASE_URL KARTSHOPPE__POSTGRES__DATABASE_URL
tools/ui.sh

reports=$root/target/test-reports
rm -rf "$reports"
mkdir -p "$reports"
broken=''
stage() {
  local name=$1
  shift
  say "test: $name"
  "$@" || { broken="$broken $name" && say "test: $name FAILED"; }
}

vitest() { (cd ui && npm test --silent -- --reporter=default --reporter=json --outputFile="$reports/vitest.json"); }
# The binary comes out of the test build: a build of its own would compile half of the dependencies again, since the
# development dependencies switch on features of theirs.
build() { tools/cargo.sh test --locked --no-run; }
browser() {
  if ! find_browser >/dev/null; then
    skipped "browser tests: no Chromium; apt-get install chromium, or set KARTSHOPPE_CHROMIUM"
    return
  fi
  REPORT=$reports/playwright.json tools/e2e.sh
}
rust() {
  if CARGO_TERM_COLOR=never tools/cargo.sh test --locked --no-fail-fast 2>&1 | tee "$reports/cargo.txt"; then return; fi
  alone
}
# Tests that failed run once more, one by one. One that passes then is flaky: it is named, counted and to be mended, and it does
# not fail the run. More than three failures are treated as real.
alone() {
  local names
  mapfile -t names < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$reports/cargo.txt" | sort -u)
  [ ${#names[@]} -gt 0 ] && [ ${#names[@]} -le 3 ] || return 1
  say "test: once more, alone: ${names[*]}"
  tools/cargo.sh test --locked --tests --no-fail-fast -- --exact --test-threads=1 "${names[@]}" || return 1
  printf '%s\n' "${names[@]}" >"$reports/flaky.txt"
  say "FLAKY, failed beside the others and passed alone: ${names[*]}"
}

stage build build
stage vitest vitest
stage browser browser
stage rust rust

[ -z "$broken" ] || say "FAILED:$broken"
# shellcheck disable=SC2086 # one argument for each stage
node tools/count-tests.mjs "$reports" $broken
[ -z "$broken" ]
