#!/usr/bin/env bash
# Starts the built binary on free ports with a data directory of its own, runs the browser tests of ui/ against it, and
# stops it. KARTSHOPPE_BIN names another binary; KAFKA=1 runs it on a broker of its own; REPORT is where Playwright's JSON report goes;
# arguments go to Playwright.
# The tests find the binary in KARTSHOPPE_BINARY, the shop in KARTSHOPPE_URL, the operators' listener in KARTSHOPPE_ADMIN_URL and the browser in
# KARTSHOPPE_CHROMIUM.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

prepare_browser_run
open_for_browser

reporters=list
if [ -n "${REPORT:-}" ]; then
  reporters=list,json
  export PLAYWRIGHT_JSON_OUTPUT_FILE=$REPORT
fi
(cd ui && KARTSHOPPE_BINARY=$binary KARTSHOPPE_URL=http://127.0.0.1:$http KARTSHOPPE_ADMIN_URL=http://127.0.0.1:$admin \
  npm run --silent e2e -- --reporter="$reporters" "$@")
