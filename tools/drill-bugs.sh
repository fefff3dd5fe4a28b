#!/usr/bin/env bash
# Puts bugs into the shop, one at a time, and lets the drill find each (src/bugs.rs); names of bugs as arguments run only those.
# A quarter of an hour for all; fails if one is not found, or if a plan is not clean without a bug.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

tools/doctor.sh run
KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
tools/ui.sh
tools/cargo.sh test --locked --features seeded-bugs --test drill_bugs -- "$@"
