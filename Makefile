# What is done to this repository, by hand and by .ci/run. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
SCRIPTS := .ci/run benches/guided.sh benches/instructions.sh tests/setup.sh
# One file a benchmark is criterion's; benches/serve/ is the load generator.
CRITERION := compile decide search state
PEERS := benches/peers/node_modules

.PHONY: help setup test test-python test-rust differential guided bench bench-gateway bench-peers instructions lint lint-rust lint-rest check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what the tests need beside Rust (.venv, node_modules)
	@tests/setup.sh

test: test-python test-rust ## every test; the Rust ones come last

test-python: setup ## the chart, and Palisade with a real MCP client and server, and a real OpenID provider
	cargo build --locked
	$(PYTHON) -m pytest -q tests/helm
	$(PYTHON) -m pytest -q tests/e2e
	$(PYTHON) -m pytest -q tests/oidc
	$(PYTHON) -m pytest -q tests/examples

test-rust: ## unit, conformance, behaviour and policy tests (cargo-nextest when it is installed)
	@if cargo nextest --version >/dev/null 2>&1; then \
	  set -x; cargo test --locked --doc; cargo nextest run --locked; \
	else \
	  set -x; cargo test --locked; \
	fi

# Optimized like a release, and linked as fast as a test.
differential: ## the index against Cedar's authorizer, a million times (docs/differential.md)
	CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  PALISADE_DIFFERENTIAL_WORLDS="$${PALISADE_DIFFERENTIAL_WORLDS:-11000}" \
	  cargo test --locked --release --no-default-features --lib -- \
	  --exact policy::differential::the_index_answers_as_cedar_does_in_generated_worlds --nocapture

guided: setup ## the release binary, arranged by a profile of itself at work: target/guided/palisade (needs rustup's llvm-tools)
	benches/guided.sh

bench: ## speed, in process and over gRPC: target/bench/report.md (docs/benchmarking.md)
	cargo bench --locked $(CRITERION:%=--bench %)
	mkdir -p target/bench
	cargo bench --locked --bench curve -- --svg target/bench/curve.svg
	cargo bench --locked --bench tasks -- --out target/bench/tasks.md
	cargo bench --locked --bench serve -- --report target/bench/report.md

instructions: setup ## the instructions of one decision, held against benches/instructions.tsv
	benches/instructions.sh

bench-gateway: setup ## what Palisade adds to a call behind the real Envoy: target/bench/gateway.md
	cargo build --locked --release
	PALISADE_BIN=target/release/palisade $(PYTHON) benches/gateway.py --out target/bench/gateway.md

bench-peers: $(PEERS)/.package-lock.json ## Palisade beside Cerbos (from npm) and Treetop (built): target/bench/peers.md
	cargo build --locked --release --manifest-path benches/peers/treetop/Cargo.toml
	cargo bench --locked --bench serve -- --only peers,treetop --out target/bench/peers.md \
	  --cerbos $(PEERS)/@cerbos/cerbos-linux-x64/cerbos-linux-x64 \
	  --treetop benches/peers/treetop/target/release/treetop-over-http

$(PEERS)/.package-lock.json: benches/peers/package-lock.json
	npm ci --prefix benches/peers --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

lint: lint-rust lint-rest ## everything that reads the sources without running them

lint-rust:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo check --locked --no-default-features --lib
	@echo "the core does not depend on tokio"; \
	tree=$$(cargo tree --locked --no-default-features -e normal --prefix none); \
	if grep '^tokio v' <<<"$$tree"; then \
	  cargo tree --locked --no-default-features -e normal -i tokio; exit 1; \
	fi
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check bans licenses sources; \
	else echo "cargo-deny is not installed: deny.toml is not checked"; fi

lint-rest: setup
	.venv/bin/buf lint
	.venv/bin/shellcheck $(SCRIPTS)

check: ## the shipped bundle: validate it, run its policies' tests
	cargo run --locked --quiet -- check
	cargo run --locked --quiet -- test

clean: ## remove what was built and installed here
	cargo clean
	rm -rf .venv tools/capture/node_modules tests/oidc/node_modules examples/typescript/{node_modules,dist} $(PEERS) .pytest_cache
