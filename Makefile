# What is done to this repository, by hand and by .ci/run. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
SCRIPTS := .ci/run tests/setup.sh

.PHONY: help setup test test-python test-rust differential bench lint lint-rust lint-rest check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## install what the tests need beside Rust (.venv, tools/capture/node_modules)
	@tests/setup.sh

test: test-python test-rust ## every test; the Rust ones come last

test-python: setup ## the chart, and Palisade between a real MCP client and server
	cargo build --locked
	$(PYTHON) -m pytest -q tests/helm
	$(PYTHON) -m pytest -q tests/e2e

test-rust: ## unit, conformance, behaviour and policy tests (cargo-nextest when it is installed)
	@if cargo nextest --version >/dev/null 2>&1; then \
	  set -x; cargo test --locked --doc; cargo nextest run --locked; \
	else \
	  set -x; cargo test --locked; \
	fi

differential: ## the index against Cedar's authorizer, a million times (docs/differential.md)
	PALISADE_DIFFERENTIAL_WORLDS="$${PALISADE_DIFFERENTIAL_WORLDS:-11000}" \
	  cargo test --locked --release --no-default-features --lib -- \
	  --exact policy::differential::the_index_answers_as_cedar_does_in_generated_worlds --nocapture

bench: ## speed
	cargo bench --locked

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
	rm -rf .venv tools/capture/node_modules .pytest_cache
