# What a developer types. Tools are pinned in tools/go.mod and built on first use;
# nothing needs to be installed but Go, and gcc for the race detector.

GO      ?= go
TOOLS    = $(CURDIR)/tools/go.mod
TOOL     = $(GO) tool -modfile=$(TOOLS)
FUZZTIME ?= 10s
SEEDS    ?= 5000
PKG      ?= ./...

.DEFAULT_GOAL := help
.PHONY: help build test short race lint fmt fuzz sim bench demo debian e2e-kubernetes tidy ci

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/gokv and bin/gokv-node
	$(GO) build -o bin/ ./cmd/...

test: ## every test (PKG=./engine for one package)
	$(GO) test $(PKG)

short: ## what needs no built binaries, no Debian index and no waiting
	$(GO) test -short $(PKG)

race: ## every test under the race detector; needs gcc
	CGO_ENABLED=1 $(GO) test -race $(PKG)

lint: ## vet, golangci-lint, gofumpt
	$(GO) vet ./...
	$(TOOL) golangci-lint run ./...

fmt: ## gofumpt, in place
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

fuzz: ## each fuzz target for FUZZTIME (10s)
	@for package in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "== $$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

sim: ## SEEDS (5000) random histories of faults
	$(GO) test ./internal/simcluster -count 1 -timeout 2h -v -run TestSimulation -sim.histories $(SEEDS)

bench: ## micro-benchmarks, then the workloads of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem $(PKG)
	$(GO) run ./bench all

demo: ## a cluster in one process: partitioned, written on both sides, healed
	$(GO) run ./cmd/gokv demo

debian: ## Debian's package index through three processes, one killed halfway
	$(GO) test ./e2e -run TestDebianIndex -count=1 -v

e2e-kubernetes: bin/kube-apiserver ## what needs a real kube-apiserver, which is built first, in some ten minutes
	GOKV_TEST_KUBE_APISERVER=$(CURDIR)/$< $(GO) test -count=1 ./internal/kubetest ./discovery/kubernetes ./deploy
	GOKV_TEST_KUBE_APISERVER=$(CURDIR)/$< $(GO) test -count=1 -v -run 'Discovery|FiveNodes/kubernetes' ./e2e

bin/kube-apiserver: $(wildcard tools/kube-apiserver/*)
	$(GO) build -C tools/kube-apiserver -ldflags='-s -w' -o $(CURDIR)/$@ .

tidy: ## the module and its tools'; tools/kube-apiserver's go.mod is kept by hand
	$(GO) mod tidy
	cd tools && $(GO) mod tidy
	cd tools/deploy && $(GO) mod tidy
	cd bench/peers && $(GO) mod tidy

ci: ## what a submission has to pass
	bash .ci/run
