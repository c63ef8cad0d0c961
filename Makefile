# Drover. Plain `make` prints this help.
SHELL := /bin/sh
export CGO_ENABLED := 0
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X drover.farm/internal/cli.Version=$(VERSION)
FUZZTIME ?= 30s

.DEFAULT_GOAL := help
.PHONY: help build demo test race bench lint fuzz sim chaos conformance radiance deps tidy cover

help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/drover
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/drover ./cmd/drover

demo: deps build ## render a sample animation on a farm of one machine, into drover-demo/
	bin/drover demo --out drover-demo

test: deps build ## run all tests; installs what they need when run as root
	$(GO) test -timeout 20m ./...

race: ## run all tests with the race detector (needs gcc; installed when run as root)
	scripts/deps gcc blender ffmpeg postgres ps chromium
	CGO_ENABLED=1 $(GO) test -race -timeout 40m ./...

radiance: ## run Radiance's tests against the real one that RADIANCE_HOME names
	@test -n "$$RADIANCE_HOME" || { echo "set RADIANCE_HOME to the folder of a Radiance, with bin and lib" >&2; exit 2; }
	$(GO) test -count=1 -timeout 20m ./internal/renderer/radiance/... ./internal/simulation/... ./e2e/rayserver/...

bench: deps build ## measure the numbers of the design, in about ten minutes; writes bench-results/ (bin/drover bench --out docs rewrites docs/bench.md)
	bin/drover bench --out bench-results

lint: ## format, vet for every system, staticcheck, tidy module files
	scripts/lint

fuzz: ## fuzz every parser for FUZZTIME (30s) each
	scripts/fuzz $(FUZZTIME)

sim: ## simulate 100 small farms with many faults and one of 100,000 workers that renders 10 million frames, on a virtual clock (SIM="-run Small -seed N" repeats)
	GOGC=200 $(GO) test -count=1 -timeout 3h -v ./internal/sim -seeds 100 -workers 100000 -frames 10000000 -chunk 20 $(SIM)

chaos: deps ## kill a farm on PostgreSQL and S3 at random for a minute (CHAOS=10m; DROVER_SEED=N repeats) and prove every frame once
	DROVER_CHAOS=$${CHAOS:-1m} $(GO) test -count=1 -timeout 120m -v -run '^TestChaos$$' ./e2e

conformance: ## run the OpenJD conformance tests in the folder OPENJD_CONFORMANCE; prints a table
	@test -n "$$OPENJD_CONFORMANCE" || { echo "set OPENJD_CONFORMANCE to the folder conformance-tests of a copy of openjd-specifications" >&2; exit 2; }
	$(GO) test -C openjd/session -count=1 -parallel 8 -timeout 20m -tags conformance -run Conformance

deps: ## install what demo and test need (Blender, ffmpeg); says what to install otherwise
	@scripts/deps blender ffmpeg postgres ps chromium

tidy: ## tidy the module files
	$(GO) mod tidy
	cd tools && $(GO) mod tidy
