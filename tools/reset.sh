#!/usr/bin/env bash
# Back to the first start: deletes the topics and empties the database of the configured shop. Both commands refuse while a
# server runs, since a live reader would silently skip the first records of a topic that was created again. KARTSHOPPE_BIN names a binary that
# is there already: then nothing is built.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
prepare_shop "delete topics and orders (seconds)"
"$binary" topics delete --all
"$binary" db reset
