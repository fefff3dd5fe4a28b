#!/usr/bin/env bash
# Everything that is checked without running the shop: format, lints, types, and that the scripts parse.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

tools/doctor.sh run
for component in clippy fmt; do
  cargo "$component" --version >/dev/null 2>&1 || fail "cargo $component is missing: rustup component add clippy rustfmt"
done
for script in tools/*.sh tools/*/*.sh .ci/run; do bash -n "$script"; done
cargo fmt --check
tools/cargo.sh clippy --locked --all-targets -- -D warnings
tools/ui.sh deps
(cd ui && npm run --silent check)
say "check: clean"
