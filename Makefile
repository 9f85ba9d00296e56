# Orderflow's tasks. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What is tested is what is shipped: every module is built by its own go.mod. go.work is for editors.
export GOWORK := off

ROOT     := $(CURDIR)
BUILD    := $(ROOT)/.build
SERVICES := services/orders services/payments services/inventory services/shipping
MODULES  := pkg $(SERVICES) orchestrator devstack e2e
APIS     := $(SERVICES) orchestrator
TOOL     := go tool -modfile=$(ROOT)/tools/go.mod
LINTER   := go tool -modfile=$(ROOT)/tools/lint/go.mod golangci-lint
GOTEST   := $(TOOL) gotestsum --format pkgname --hide-summary skipped -- -timeout 15m $(if $(RACE),-race)
DEVSTACK := $(BUILD)/devstack
CLI      := $(BUILD)/orderflow

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

##@ Run

.PHONY: run
run: $(DEVSTACK) ## start the whole platform on this machine; Ctrl-C stops it, its data stays
	@exec $(DEVSTACK) up

.PHONY: demo
demo: $(DEVSTACK) $(CLI) ## place orders that show each ending, on the running stack or on one of its own
	@exec $(DEVSTACK) exec -- $(CLI) demo

.PHONY: audit
audit: $(CLI) ## compare the books of all services on the running stack
	@exec $(CLI) audit

# Compiling the Temporal server takes minutes the first time; Go's build cache keeps it. The progress is counted, and
# whatever is not the name of a package, an error that is, is printed as it is.
.PHONY: $(DEVSTACK)
$(DEVSTACK):
	@mkdir -p $(BUILD)
	@echo "Building the local stack (the first time this compiles the Temporal server: about 5 minutes on 2 cores) …"
	@cd devstack && go build -v -o $@ ./cmd/devstack 2>&1 | awk ' \
		/^[A-Za-z0-9._\/-]+$$/ { n++; if (n % 100 == 0) { printf "  %d packages compiled, now %s\n", n, $$0; fflush() } next } \
		{ print; fflush() }'

.PHONY: $(CLI)
$(CLI):
	@mkdir -p $(BUILD)
	@cd orchestrator && go build -o $@ ./cmd/orderflow

.PHONY: build
build: $(DEVSTACK) $(CLI) ## compile every module
	@for m in $(MODULES); do echo "build $$m"; (cd $$m && go build ./...); done

##@ Test

.PHONY: test
test: $(DEVSTACK) $(CLI) ## run every test, from unit to end-to-end
	@$(DEVSTACK) prepare
	@for m in $(MODULES); do echo "== $$m"; (cd $$m && $(GOTEST) ./...); done

.PHONY: test-unit
test-unit: ## run the tests of each package by itself, with the real PostgreSQL and NATS but without the whole stack
	@for m in $(filter-out e2e devstack,$(MODULES)); do echo "== $$m"; (cd $$m && $(GOTEST) ./...); done

.PHONY: fuzz
fuzz: ## fuzz every decoder of client input for ten seconds each
	@for m in $(MODULES); do (cd $$m && for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 10s $$p; done; done); done

.PHONY: lint
lint: ## check style, import rules and workflow determinism
	@for m in $(MODULES); do echo "lint $$m"; (cd $$m && $(LINTER) run --config $(ROOT)/.golangci.yml ./...); done
	@cd orchestrator && $(TOOL) workflowcheck ./internal/saga/...

##@ Generate

.PHONY: generate
generate: ## write all generated files anew
	@for s in $(SERVICES); do echo "sqlc $$s"; (cd $$s && $(TOOL) sqlc generate); done
	@for a in $(APIS); do echo "oapi-codegen $$a"; \
		(cd $$a && for side in server client; do $(TOOL) oapi-codegen -config oapi-$$side.yaml openapi.yaml; done); done
	@cd pkg/httpserver/internal/widgets && for side in server client; do \
		$(TOOL) oapi-codegen -config oapi-$$side.yaml ../../testdata/openapi.yaml; done

.PHONY: generate-check
generate-check: generate ## fail if a generated file is not what `make generate` writes
	@git grep -lz '^// Code generated' -- '*.go' | xargs -0 git diff --exit-code --stat -- || \
		{ echo "generated files have drifted: run make generate and commit"; exit 1; }

.PHONY: tidy
tidy: ## tidy every module
	@for m in $(MODULES) tools tools/lint; do (cd $$m && go mod tidy); done

.PHONY: clean
clean: ## remove what was built, and the local stack's data
	@if [ -x $(DEVSTACK) ]; then $(DEVSTACK) clean; fi
	@rm -rf $(BUILD)
