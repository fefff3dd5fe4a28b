#!/usr/bin/env bash
# The bill of materials, as CycloneDX: target/sbom/crates.json of what the program is linked with, target/sbom/page.json of what the
# page is built from. Needs cargo, node and npm alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

mkdir -p target/sbom
cargo metadata --format-version 1 --locked | node tools/sbom.mjs >target/sbom/crates.json
tools/ui.sh deps
(cd ui && npm sbom --sbom-format cyclonedx --package-lock-only --omit dev) >target/sbom/page.json
for file in crates page; do
  say "target/sbom/$file.json: $(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).components.length' target/sbom/$file.json) components"
done
