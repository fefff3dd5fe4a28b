#!/usr/bin/env bash
# cargo.sh SUBCOMMAND ARGUMENT...: cargo as this machine needs it. Where OpenSSL, zlib or libpq is missing all three are built from
# source (the feature `vendored`), so that two copies of one of them never meet in the program. KARTSHOPPE_VENDORED=true does
# so anywhere.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

features=()
if [ "${KARTSHOPPE_VENDORED:-}" = true ] || ! { has_openssl && has_zlib && has_libpq; }; then features=(--features vendored); fi
exec cargo "$1" "${features[@]}" "${@:2}"
