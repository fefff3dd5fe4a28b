# The shop's two commands are `make run` and `make test`; each sets up what is missing. CI calls the same targets.
# The work is done by the scripts in tools/; `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules

# SQL is checked against the committed .sqlx/ (also in .cargo/config.toml, for plain cargo).
export SQLX_OFFLINE ?= true
# Arguments for the program that a target starts, as in: make run ARGS='--roles api'
ARGS ?=

.PHONY: help doctor exercises build run run-kafka run-obs test test-kafka test-telemetry check fmt ui e2e e2e-kafka e2e-large screenshots audit sbom bench drill-kill drill-bugs reset reset-kafka up up-obs down sqlx wire workshop

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

doctor: ## what this machine has and lacks; installs what it may
	@tools/doctor.sh

build: ## build program and page, without opening the shop
	@tools/build.sh

run: ## open the shop on http://localhost:8081
	@tools/run.sh $(ARGS)

run-kafka: ## the same on Kafka: with a broker of its own, or KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS
	@tools/with-kafka.sh tools/run.sh $(ARGS)

test: ## every test: Rust, page, real browser
	@tools/test.sh

test-kafka: ## the long tests on Kafka, too (engine, WAL reader, pages, stories): ten minutes on a broker
	@tools/doctor.sh kafka && tools/cargo.sh test --locked --test it kafka:: -- --ignored $(ARGS)

run-obs: ## the shop with Prometheus, and Jaeger where it was built, without containers; KAFKA=1: on Kafka
	@$(if $(KAFKA),tools/with-kafka.sh )tools/run-obs.sh $(ARGS)

test-telemetry: ## telemetry against Prometheus and Jaeger, which is built once (ten minutes); ARGS=kafka: on Kafka
	@tools/test-telemetry.sh $(ARGS)

check: ## format, lints, types
	@tools/check.sh

fmt: ## format the sources
	@cargo fmt

ui: ## build the shop's page and the console, if they have changed
	@tools/ui.sh

e2e: ## the browser tests alone, on the built binary
	@tools/cargo.sh test --locked --no-run && tools/e2e.sh $(ARGS)

e2e-kafka: ## the console's browser tests, and those that buy and restock, on Kafka: some minutes on a broker
	@tools/doctor.sh kafka && tools/cargo.sh test --locked --no-run && KAFKA=1 tools/e2e.sh $(or $(ARGS),e2e/ops buying purchase after roles kill trace)

e2e-large: ## a hundred thousand products in the browser: some minutes
	@tools/cargo.sh test --locked --no-run && KARTSHOPPE_E2E_LARGE=true tools/e2e.sh large.spec.ts $(ARGS)

screenshots: ## a picture of each page, light and dark, desktop and phone: target/screenshots, or ARGS=folder
	@tools/cargo.sh test --locked --no-run && tools/screenshots.sh $(ARGS)

audit: ## known holes, licences and sources of what is built in
	@tools/audit.sh $(ARGS)

sbom: ## what is built in, as CycloneDX: target/sbom/
	@tools/sbom.sh

bench: ## measure
	@tools/bench.sh $(ARGS)

drill-kill: ## buy and break at the same time, then the verdict
	@tools/drill-kill.sh $(ARGS)

drill-bugs: ## put bugs into the shop, and let the drill find each
	@tools/drill-bugs.sh $(ARGS)

exercises: ## prove the exercises: red with each hole, green with each solution (ARGS=3: only E3)
	@tools/exercises.sh $(ARGS)

workshop: ## follow the workshop of docs/workshop as a learner does, every check false before and true after: all, or ARGS=1-7
	@tools/cargo.sh test --locked --no-run && tools/workshop.sh $(ARGS)

reset: ## forget every order, event and product state (refuses while the shop is open)
	@tools/reset.sh

reset-kafka: ## the same for the shop of run-kafka
	@tools/with-kafka.sh tools/reset.sh

up: ## Kafka, PostgreSQL and the shop in containers
	@tools/compose.sh up --detach --wait $(ARGS)

up-obs: up ## the same with Grafana, Prometheus, Jaeger, Loki and the collector, which nothing waits for
	@OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 OTEL_LOGS_EXPORTER=otlp tools/compose.sh --profile obs up --detach $(ARGS)
	@tools/compose.sh --profile obs ps --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'

down: ## stop those containers; their data stays
	@tools/compose.sh --profile obs down $(ARGS)

sqlx: ## renew .sqlx/ after a change of SQL or migrations
	@tools/sqlx.sh $(ARGS)

wire: ## renew what is generated from the wire types and routes: ui/src/wire/ and docs/reference/
	@TS_RS_EXPORT_DIR=$(CURDIR)/ui/src/wire REFERENCE_DIR=$(CURDIR)/docs/reference \
	  tools/cargo.sh test --locked --lib -- export_bindings reference_is_current
