#!/usr/bin/env bash
# Builds the shop's page into ui/dist and the console into ui/dist-ops, from where the binary embeds them; does nothing when nothing has changed.
#   ui.sh              dependencies and page
#   ui.sh deps         dependencies only (for checks and tests)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root/ui"

# The names and contents of the files given on standard input (NUL-separated), as one number.
digest() { LC_ALL=C sort -z | xargs -0 cksum | cksum; }
# same STAMP DIGEST: was this digest written there by the last successful build?
same() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

deps=$({ printf 'package.json\0package-lock.json\0'; } | digest)
if ! same node_modules/.kartshoppe-deps "$deps"; then
  say "ui: fetching its dependencies"
  # `npm ci` refuses a lock file that lacks optional packages of other platforms, as npm itself writes it where the registry does
  # not offer those. Then this installs the same versions, and --no-save leaves the file alone. `make audit` does the audit.
  npm ci --no-audit --no-fund --loglevel=silent >&2 ||
    npm install --no-save --no-audit --no-fund --loglevel=error >&2
  printf '%s\n' "$deps" >node_modules/.kartshoppe-deps
fi
[ "${1:-}" != deps ] || exit 0

sources=$(find . \( -path ./node_modules -o -path ./dist -o -path ./dist-ops -o -path ./e2e -o -path ./test-results -o -path ./playwright-report \) -prune \
  -o -type f -print0 | digest)
if ! [ -f dist/index.html ] || ! [ -f dist-ops/ops.html ] || ! same node_modules/.kartshoppe-page "$sources"; then
  say "ui: building the pages"
  npm run --silent build >&2
  printf '%s\n' "$sources" >node_modules/.kartshoppe-page
fi
