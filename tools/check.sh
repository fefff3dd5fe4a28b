#!/usr/bin/env bash
# Everything that is checked without running the shop: format, lints, types, that the scripts parse, and the compose file.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

tools/doctor.sh run
for component in clippy fmt; do
  cargo "$component" --version >/dev/null 2>&1 || fail "cargo $component is missing: rustup component add clippy rustfmt"
done
for script in tools/*.sh tools/*/*.sh .ci/run; do bash -n "$script"; done
cargo fmt --check
# The patches of the exercises still fit; `make exercises` proves them.
tools/exercises.sh --check
tools/cargo.sh clippy --locked --all-targets -- -D warnings
# Private items are documented, too, so a link to one leads somewhere.
RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" tools/cargo.sh doc --locked --no-deps --document-private-items
# What is generated from wire types and routes: ui/src/wire/ and docs/reference/. The test build is the one that `make test` needs.
tools/cargo.sh test --locked --lib --quiet -- export_bindings reference_is_current >&2
node otel/grafana/dashboards.mjs --check
if have promtool; then
  promtool check config otel/prometheus/prometheus.yml >&2
  (cd otel/prometheus && promtool test rules rules_test.yml) >&2
else
  skipped "the rules of Prometheus are not checked: no promtool (apt-get install prometheus)"
fi
if find_go >/dev/null; then
  (
    cd tools/compose-check
    [ -z "$(gofmt -l .)" ] || fail "gofmt: $(gofmt -l . | tr '\n' ' ')"
    go vet ./... && go test ./... >&2
    go run . ../../compose.yml ../../Dockerfile
  )
else
  skipped "compose.yml and Dockerfile are not checked: no Go >= $go_oldest (https://go.dev/dl)"
fi
# What only builds with seeded bugs have.
tools/cargo.sh clippy --locked --features seeded-bugs --lib --test drill_bugs -- -D warnings
tools/ui.sh deps
(cd ui && npm run --silent check)
tools/unused.sh
tools/audit.sh
say "check: clean"
