# Everything that a developer or CI runs. `make help` lists it.
CARGO ?= cargo
FUZZ_SECONDS ?= 600

.PHONY: help test test-python wheel test-windows test-systemd lint loom mutants drill bench bench-python soak fuzz deny
.DEFAULT_GOAL := help

help: ## Lists these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

test: ## Runs all tests
	scripts/test-tools
	$(CARGO) build --workspace
	scripts/test-rust
	$(MAKE) --no-print-directory loom
	scripts/test-python

test-python: ## Builds the Python package and runs its tests in an environment of its own (part of test)
	scripts/test-python

wheel: ## Builds the wheel, installs it into a fresh environment without Rust, and runs the Python tests there
	scripts/python-wheel
	scripts/test-wheel

test-windows: ## Builds the lifecycle for Windows and runs its tests under wine; installs what that takes
	scripts/test-windows

test-systemd: ## Runs units of ours under a real systemd with a root of its own; needs root, fetches that (150 MB, once)
	scripts/test-systemd

loom: ## Explores the orderings of whatever has atomics (part of test)
	RUSTFLAGS="--cfg exeunt_loom" CARGO_TARGET_DIR=target/loom $(CARGO) test -p exeunt-lifecycle --lib --release loom_

lint: ## Checks format, clippy and docs, all warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy -p exeunt-lifecycle --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --all-features --document-private-items
	scripts/lint-python

mutants: ## Breaks the pure machines in every small way, and names what no test notices (some 10 minutes; installs cargo-mutants)
	scripts/mutants

drill: ## Stops our own server under load again and again, and accounts for every request
	$(CARGO) run --release -- drill

bench: ## Measures: CPU per request beside bare hyper and axum::serve, the event loop beside bare loops, hyper on TLS, tokio-tungstenite and nginx, the lifecycle beside tokio-util, time from signal to exit
	$(CARGO) run --release -p exeunt-benches
	$(CARGO) run --release -p exeunt-benches -- --pairs 40 --requests 5000 web
	$(CARGO) run --release -p exeunt-benches -- lifecycle
	$(CARGO) run --release -p exeunt-benches -- --pairs 40 --requests 5000 manager
	$(CARGO) run --release -p exeunt-benches -- --pairs 40 --requests 5000 manager-tls
	$(CARGO) run --release -p exeunt-benches -- --pairs 40 --requests 5000 manager-websocket
	benches/tools
	PATH=$$PATH:/usr/sbin:$(CURDIR)/target/tools/usr/sbin \
		$(CARGO) run --release -p exeunt-benches -- --pairs 40 --requests 5000 manager-files
	$(CARGO) bench -p exeunt-benches --bench primitives
	$(CARGO) build --release
	scripts/stop-times

bench-python: ## Measures the Python package beside cymongoose (fetched from PyPI): CPU per request, throughput, import, end; a block beside graceful-shutdown's
	scripts/python-wheel
	benches/python/run

soak: ## Long runs: drills of 100 rounds, the delayed link with 100 closes
	$(CARGO) build --release
	scripts/soak

fuzz: ## Fuzzes the event loop's parsers, FUZZ_SECONDS (600) each; needs cargo-fuzz and a nightly compiler
	cd crates/manager && for target in requests chunked urls frames multipart responses; do \
		mkdir -p $(CURDIR)/target/fuzz/$$target && \
		$(CARGO) +nightly fuzz run --sanitizer none --target-dir $(CURDIR)/target/fuzz/build $$target \
			$(CURDIR)/target/fuzz/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=2048 -print_final_stats=1 || exit 1; \
	done

deny: ## Checks licences, bans and sources of the dependencies (needs cargo-deny)
	$(CARGO) deny check licenses bans sources
