#!/usr/bin/env bash
# Takes the pictures of docs/workshop from the real program, in the order of the chapters: docs/workshop/pictures/, or the folder given.
# KARTSHOPPE_BIN names another binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

folder=${1:-docs/workshop/pictures}
prepare_browser_run
open_for_browser --roles api
mkdir -p "$folder"
node tools/workshop-pictures.mjs "http://127.0.0.1:$http" "http://127.0.0.1:$admin" "$folder"
