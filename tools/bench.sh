#!/usr/bin/env bash
# The figures of the shop: the hot functions (criterion), then the system. Arguments go to `cargo bench`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
tools/doctor.sh run
ls benches/*.rs >/dev/null 2>&1 || fail "bench: there are no benchmarks yet (benches/ is empty)"
KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
export KARTSHOPPE__POSTGRES__BIN_DIR
tools/cargo.sh bench --locked "$@"
