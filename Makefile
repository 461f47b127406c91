# `make` alone says what there is to do.

# What `make load` and `make bench` pass on, as in: make load ARGS='--rounds 3'
ARGS ?=
# The profile of cargo-nextest; CI has its own, in .config/nextest.toml.
export NEXTEST_PROFILE ?= default
# Where rustup and Cargo install programs, for a shell that does not know it yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt deny clippy docs generated tests advisories load bench

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

demo: ## Builds the gateway and three small services, starts them, and prints what to try
	@scripts/setup.sh demo
	@echo 'Building the demo: some minutes the first time, seconds after that.'
	@cargo build --profile demo --bin sluicegate --example demo
	@cargo run --quiet --profile demo --example demo

test: ## Installs what is missing, then runs every check
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory check

# The cheap checks come first, and the tests last, so that their summary is what one sees.
check: fmt deny clippy docs tests ## Every check, with the tools that are there

fmt: ## Is the code formatted?
	cargo fmt --all --check

deny: ## Are the dependencies from where they should be, under licences that fit?
	cargo deny check bans licenses sources

clippy: ## Is there anything that clippy would write otherwise?
	cargo clippy --all-targets -- -D warnings

docs: ## Does the documentation build, and do its examples run?
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items
	cargo test --doc --quiet

generated: ## Writes what is generated: the schema and the reference
	cargo run --quiet -- schema > docs/schema.json
	cargo run --quiet -- schema --format markdown > docs/reference.md

# cargo-nextest tells more, but takes minutes to compile; cargo's own runner runs the same tests.
tests: ## The tests: beside the code, and end to end
	@if cargo nextest --version >/dev/null 2>&1; then set -x; cargo nextest run; \
	else set -x; cargo build --examples && cargo test --lib --bins --tests; fi

advisories: ## Is a vulnerability of a dependency known? Needs the network
	cargo deny check advisories

load: ## Measures the gateway beside nginx, HAProxy, Envoy and a bare Pingora proxy
	@scripts/setup.sh load
	cargo build --release --bin sluicegate --example floor --example load
	cargo run --quiet --release --example load -- $(ARGS)

bench: ## Measures the parts: matching, policies, compiling a configuration
	@scripts/setup.sh build
	cargo bench --bench '*' -- $(ARGS)
