#!/usr/bin/env bash
# Sets up what is missing and builds what has changed, as `make run` does, and opens nothing.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

tools/doctor.sh run
[ -n "${DATABASE_URL:-}${KARTSHOPPE__POSTGRES__DATABASE_URL:-}" ] || tools/postgres/bin-dir.sh >/dev/null
tools/ui.sh
tools/cargo.sh build --profile "$run_profile" --locked
say "built: target/$run_target_dir/kartshoppe"
