# make help lists what there is. CI runs .ci/run; `make check` is the same.
SHELL   := /bin/bash
BIN     := $(CURDIR)/bin
TOOLS   := $(CURDIR)/tools/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --verify --quiet HEAD 2>/dev/null || echo unknown)
# Of what is in a release: the commit's.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

.DEFAULT_GOAL := help
.PHONY: help build test race lint fmt fuzz chaos mutants bench microbench cover tools own-tools sbom licenses docs release release-check image demo check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/worker, a static binary
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o $(BIN)/worker ./cmd/worker

test: ## all tests
	go test ./...

race: ## the tests under the race detector, heavy ones shortened
	.ci/run race

lint: ## format, vet, staticcheck, golangci-lint
	.ci/run tools format vet staticcheck lint

fmt: $(TOOLS)/gofumpt ## format the code
	$(TOOLS)/gofumpt -w .

fuzz: ## each fuzz target for a few seconds; FUZZ_SECONDS=600 for ten minutes of processor time each
	.ci/run fuzz

chaos: ## three workers, three NATS nodes, proxies between all, 200 kills: is anything lost? CHAOS='-customers 500 -kills 20' for less
	FAULTS_RECORD_VERSION=2 go run -tags faults ./internal/chaos $(CHAOS)

mutants: own-tools ## break the worker in ways its promises forbid: which test notices?
	$(TOOLS)/mutants

bench: $(TOOLS)/nats-server ## against a bare loop and Watermill, into docs/performance.md; BENCH=-quick for a minute's look, BENCH=-h for more
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o $(BIN)/worker ./cmd/worker
	go -C bench build -buildvcs=false -o $(BIN)/bench .
	go test -run '^$$' -bench '^Benchmark(Decode|EncodeRecord|DecodeRecord|Decide|Record)$$' -benchmem -count $(if $(findstring -quick,$(BENCH)),1,6) \
		./internal/events ./internal/activation ./internal/ledger | tee $(BIN)/micro.txt
	$(BIN)/bench -worker $(BIN)/worker -nats-server $(TOOLS)/nats-server -micro $(BIN)/micro.txt -results docs/performance.md $(BENCH)

microbench: ## all Go benchmarks, ten runs each, into bin/bench.txt; compare two with tools/bin/benchstat
	@mkdir -p $(BIN)
	go test -run '^$$' -bench . -benchmem -count 10 ./... | tee $(BIN)/bench.txt

cover: ## coverage of the tests, as cover.html
	go test -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -html cover.out -o cover.html

tools: ## build the pinned tools into tools/bin: linters, nats, nats-server, toxiproxy-server, benchstat, bom, mutants
	go -C tools build -buildvcs=false -o $(TOOLS)/ tool
	mv $(TOOLS)/server $(TOOLS)/toxiproxy-server

# Ours, from their source as it is now.
own-tools:
	@go -C tools build -buildvcs=false -o $(TOOLS)/ ./bom ./mutants ./release

$(TOOLS)/%: tools/go.mod
	@$(MAKE) --no-print-directory tools

sbom: build own-tools ## bin/worker.cdx.json, the bill of materials of bin/worker (CycloneDX)
	$(TOOLS)/bom -version $(VERSION) $(BIN)/worker >$(BIN)/worker.cdx.json

licenses: own-tools ## docs/licenses.md, the modules in the worker and their licences
	@mkdir -p $(BIN)
	CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -o $(BIN)/worker-linux ./cmd/worker
	$(TOOLS)/bom -markdown $(BIN)/worker-linux >$(BIN)/licenses.md && mv $(BIN)/licenses.md docs/

docs: ## docs/configuration.md and docs/cli.md anew, from the code
	go test ./internal/config -run '^TestConfigurationReference$$' -update
	go test ./cmd/worker -run '^TestCommandReference$$' -update

release: own-tools ## dist/: archives for linux and darwin, amd64 and arm64, with checksums and bills of materials
	rm -rf dist
	$(TOOLS)/release -version $(VERSION) -commit $(COMMIT) -date $(SOURCE_DATE_EPOCH) -bom $(TOOLS)/bom -out dist

release-check: ## are two builds of each release the same, byte by byte
	RELEASE_TARGETS='linux/amd64 linux/arm64 darwin/amd64 darwin/arm64' .ci/run release

image: ## build the container image with the local Docker engine
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) -t activation-worker:$(VERSION) .

demo: build ## run the demo: NATS, a simulated partner, a crowd of customers
	$(BIN)/worker demo

check: ## everything CI checks
	.ci/run

clean: ## remove what was built
	rm -rf $(BIN) $(TOOLS) dist cover.out cover.html
