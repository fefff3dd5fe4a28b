#!/usr/bin/env bash
# Dependencies in Cargo.toml that no source uses, with cargo-machete. Fetches it into target/tools where it is missing (a minute, once).
# A machine that cannot fetch it reads so; with CI=true that is an error.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

machete_version=0.9.2
tools=$root/target/tools
PATH="$tools/bin:$PATH"
if [ "$(cargo machete --version 2>/dev/null)" != "$machete_version" ]; then
  say "cargo-machete $machete_version is missing: fetching it"
  cargo install --quiet --locked --root "$tools" --force "cargo-machete@$machete_version" >&2 || {
    skipped "unused dependencies: cargo-machete cannot be fetched (cargo install cargo-machete)"
    exit
  }
fi
cargo machete >&2 || fail "unused dependencies: remove them from Cargo.toml, or list them with the reason in package.metadata.cargo-machete"
