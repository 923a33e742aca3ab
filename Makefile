# leat. `make` alone prints this list. Go and make are enough for everything
# but test-kafka, test-crash, test-oracle and bench, which start a real Kafka or
# Kafka Streams and want Java 17 and Maven beside them.

SHELL := /bin/bash
GO    ?= go
PKGS  ?= ./...
TAGS  := synctests

# Fuzzing time per target, and the rows that the dense benchmark reads.
FUZZTIME   ?= 20s
DENSE_ROWS ?= 2000000

.DEFAULT_GOAL := help

.PHONY: help build demo test race race-live fmt lint fuzz test-kafka test-crash test-random test-mutations test-oracle test-browser test-schemathesis bench bench-sliding bench-live java clean

help: ## print what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the binary bin/leat
	$(GO) build -o bin/leat ./cmd/leat

demo: build ## run the demo pipelines on the embedded broker; open the address it prints
	./bin/leat demo

test: ## run the tests (under 3 minutes on two cores)
	$(GO) test -tags $(TAGS) $(PKGS)

race: ## run the tests under the race detector (long)
	$(GO) test -race -tags $(TAGS) $(PKGS)

race-live: ## the live views under the race detector: 10,000 joins, storms of 5,000 (up to 20 minutes on two busy cores)
	$(GO) test -race -tags $(TAGS) -timeout 60m ./connectors/sse/...

fmt: ## rewrite the code as gofmt wants it
	gofmt -l -w .

lint: ## gofmt, vet, staticcheck and govulncheck
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	$(GO) vet -tags $(TAGS),kafka,crash,oracle,browser ./...
	$(GO) tool staticcheck -tags $(TAGS),kafka,crash,oracle,browser ./...
	@./.ci/vulncheck

fuzz: ## run every fuzz target for FUZZTIME (20s) each
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
	  for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6- | sort -u); do \
	    echo "$$dir $$target"; \
	    $(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$dir; \
	  done; done

test-kafka: java ## the main job on a real Kafka: two workers, one kill -9, the known answers
	$(GO) test -tags $(TAGS),kafka -count=1 -timeout 6m -run 'TestKafka' -v ./bench/...

test-crash: java ## kill -9 at random moments, on the embedded broker and on a real Kafka
	$(GO) test -tags $(TAGS),crash -count=1 -timeout 30m -run 'TestCrash' -v ./bench/e2e $(CRASH)

test-oracle: java ## random cases, judged by Kafka Streams itself (ORACLE='-seed 1 -cases 500')
	$(GO) test -tags $(TAGS),oracle -count=1 -timeout 20m -run 'TestOracle' -v ./bench/oracle $(ORACLE)

test-random: ## 10,000 random pipelines against a naive interpreter (RANDOM_ARGS="-seed 7 -only join")
	$(GO) test -count=1 -timeout 60m -v -run '^TestAgainstNaive$$' ./bench/random -seed 0 -cases 10000 $(RANDOM_ARGS)

test-mutations: ## mistakes in the engine, one at a time, that random pipelines must notice (RANDOM_ARGS="-seed 7")
	$(GO) test -tags mutation -count=1 -timeout 30m -run '^TestMutations$$' -v ./bench/random $(RANDOM_ARGS)

test-browser: java ## the live page in a real Chromium, driven by playwright-core (BROWSER="-run TestPage", SHOTS=folder)
	$(GO) test -tags $(TAGS),browser -count=1 -timeout 20m -run 'Test' -v ./bench/browser $(BROWSER)

test-schemathesis: ## the HTTP API against its own description, by schemathesis (Python 3.10 and PyPI; SEED=, MAX_EXAMPLES=)
	bench/clients/schemathesis.sh $(SCHEMATHESIS)

bench: java build ## measure leat beside raw consumption on a real Kafka
	$(GO) run ./bench/run -leat bin/leat -dense-rows $(DENSE_ROWS) $(BENCH)

bench-sliding: java build ## measure exact sliding windows beside Kafka Streams (quiet machine; BENCH=-write)
	$(GO) run ./bench/oracle/sliding -leat bin/leat $(BENCH)

bench-live: ## measure live views: memory and CPU of 10,000 streams, latency, a storm (quiet machine; BENCH=-write)
	$(GO) run ./bench/live $(BENCH)

# java says what is missing before a test has to.
java:
	@command -v java >/dev/null || { echo "a real Kafka needs Java 17 or newer: install a JRE (Debian: openjdk-17-jre-headless)"; exit 1; }
	@command -v mvn >/dev/null || { echo "fetching Kafka needs Maven: install it (Debian: maven)"; exit 1; }

clean: ## remove what was built here
	rm -rf bin
