#!/usr/bin/env bash
# Builds Jaeger from its Go module, once for each content of tools/jaeger/go.sum, and prints where it is. Cold it takes ten minutes or
# more; `jaeger.sh --built` builds nothing, and fails where it was not built. It is a collector, too.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$root/tools/jaeger"

hash=$(sha256sum go.mod go.sum | sha256sum | cut -c1-12)
binary=$root/target/tools/jaeger-$hash
[ -x "$binary" ] && echo "$binary" && exit
[ "${1:-}" != --built ] || exit 1
find_go >/dev/null || fail "Jaeger is built by Go >= $go_oldest (https://go.dev/dl)"
say "building Jaeger, once: ten minutes or more"
mkdir -p "$root/target/tools"
CGO_ENABLED=0 nice -n 19 go build -trimpath -ldflags='-s -w' -o "$binary.part" github.com/jaegertracing/jaeger/cmd/jaeger
mv "$binary.part" "$binary"
echo "$binary"
