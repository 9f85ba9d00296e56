# Orderflow's tasks. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What is tested is what is shipped: every module is built by its own go.mod. go.work is for editors.
export GOWORK := off

ROOT     := $(CURDIR)
BUILD    := $(ROOT)/.build
SERVICES := services/orders services/payments services/inventory services/shipping
MODULES  := pkg $(SERVICES) orchestrator devstack e2e tools/compat
POLICY   := deploy/k8s/policy
APIS     := $(SERVICES) orchestrator
TOOL     := go tool -modfile=$(ROOT)/tools/go.mod
LINTER   := go tool -modfile=$(ROOT)/tools/lint/go.mod golangci-lint
GOTEST   := $(TOOL) gotestsum --format pkgname --hide-summary skipped -- -timeout 15m $(if $(RACE),-race)
DEVSTACK := $(BUILD)/devstack
CLI      := $(BUILD)/orderflow

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

##@ Run

.PHONY: run
run: $(DEVSTACK) ## start the whole platform on this machine; Ctrl-C stops it, its data stays
	@exec $(DEVSTACK) up

.PHONY: demo
demo: $(DEVSTACK) $(CLI) ## place orders that show each ending, on the running stack or on one of its own
	@exec $(DEVSTACK) exec -- $(CLI) demo

.PHONY: trace
trace: $(DEVSTACK) ## print where an order's time went, and its spans: make trace ORDER=<id>
	@exec $(DEVSTACK) trace $(ORDER)

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

# Apart from `test`, because Docker's libraries take a minute to compile and nothing else needs them.
.PHONY: e2e-compose
e2e-compose: ## run the end-to-end tests on the images and docker-compose.yml; needs Docker
	@docker version >/dev/null 2>&1 || { echo "make e2e-compose needs a running Docker, and there is none: try docker version."; exit 1; }
	@$(MAKE) --no-print-directory images
	@cd e2e && ORDERFLOW_VERSION=$(VERSION) $(GOTEST) -tags compose ./...

.PHONY: fuzz
fuzz: ## fuzz every decoder of client input for ten seconds each
	@for m in $(MODULES); do (cd $$m && for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "== $$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 10s $$p; done; done); done

.PHONY: lint
lint: ## check style, import rules and workflow determinism
	@for m in $(MODULES) $(POLICY); do echo "lint $$m"; (cd $$m && $(LINTER) run --config $(ROOT)/.golangci.yml ./...); done
	@echo "lint e2e, compose"; cd e2e && $(LINTER) run --config $(ROOT)/.golangci.yml --build-tags compose ./...
	@cd orchestrator && $(TOOL) workflowcheck ./internal/saga/...

##@ Ship

# What images are tagged with, and what the programs in them say they are.
VERSION ?= dev
COMMIT  ?= $(shell git rev-parse HEAD)$(if $(shell git status --porcelain 2>/dev/null),-dirty)
# The most that an image of ours may weigh, in bytes. In that of payments, the types of stripe-go alone weigh 8 MB.
IMAGE_LIMIT = 40000000
image-payments: IMAGE_LIMIT = 49000000

SERVICE_IMAGES := $(SERVICES:services/%=image-%)
IMAGES         := $(SERVICE_IMAGES) image-orchestrator image-orderflow

.PHONY: images
images: $(IMAGES) image-gateway ## build the container images, or one by `make image-payments`; VERSION=… tags them

.PHONY: $(IMAGES) image-gateway
$(SERVICE_IMAGES): image-%:
	@$(call image,$*,services/$*)
image-orchestrator:
	@$(call image,orchestrator,orchestrator)
image-orderflow:
	@$(call image,orderflow,orchestrator,--target command)
image-gateway:
	@DOCKER_BUILDKIT=1 docker build -t orderflow/gateway:$(VERSION) deploy/compose/gateway

# image builds the image of a program: its name, its module, other flags.
define image
	DOCKER_BUILDKIT=1 docker build -t orderflow/$(1):$(VERSION) $(3) --build-arg PROGRAM=$(1) --build-arg MODULE=$(2) \
		--build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) . && \
	size=$$(docker image inspect -f '{{.Size}}' orderflow/$(1):$(VERSION)) && echo "orderflow/$(1): $$size bytes" && \
	if [ "$$size" -gt $(IMAGE_LIMIT) ]; then echo "that is more than $(IMAGE_LIMIT) bytes"; exit 1; fi
endef

# What a contract's golden files say is true if its tests pass, so these run first.
.PHONY: compat
compat: BASE ?= $(shell cat RELEASE)
compat: ## compare the contracts with the last release's, or BASE's: what would break, and for whom
	@for s in $(SERVICES); do (cd $$s && go test .); done
	@cd orchestrator && go test -run StayAsTheyAre ./internal/saga
	@mkdir -p $(BUILD)
	@cd tools/compat && go build -o $(BUILD)/compat .
	@$(BUILD)/compat -base '$(BASE)'

# Apart from `test`: it reads files that Go's cache of test results does not know of.
.PHONY: k8s-validate
k8s-validate: ## hold the Kubernetes manifests against their schemas, the rules of the house and the code
	@cd $(POLICY) && go test -count=1 ./...

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
	@for m in $(MODULES) $(POLICY) tools tools/lint tools/k8s; do (cd $$m && go mod tidy); done

.PHONY: clean
clean: ## remove what was built, and the local stack's data
	@if [ -x $(DEVSTACK) ]; then $(DEVSTACK) clean; fi
	@rm -rf $(BUILD)
