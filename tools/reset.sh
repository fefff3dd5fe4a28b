#!/usr/bin/env bash
# Back to the first start: deletes the topics and empties the database of the configured shop. Both commands refuse while a
# server runs, since a live reader would silently skip the first records of a topic that was created again.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
load_dotenv
tools/doctor.sh run
if [ -z "${DATABASE_URL:-}${KARTSHOPPE__POSTGRES__DATABASE_URL:-}" ]; then
  KARTSHOPPE__POSTGRES__BIN_DIR=$(tools/postgres/bin-dir.sh)
  export KARTSHOPPE__POSTGRES__BIN_DIR
fi
# KARTSHOPPE_BIN names a binary that is there already: then nothing is built.
binary=${KARTSHOPPE_BIN:-target/$run_target_dir/kartshoppe}
if [ -z "${KARTSHOPPE_BIN:-}" ]; then
  tools/ui.sh
  tools/cargo.sh build --profile "$run_profile" --locked
fi
"$binary" topics delete --all
"$binary" db reset
