# `make run` and `make test` set up everything they need; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help run test check format lint types security protos protos-check openapi eval bench injection settings dashboards alarms pictures clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(READY): pyproject.toml scripts/setup.sh
	@bash scripts/setup.sh $(VENV)
	@touch $@

run: $(READY) ## start the four services, ingest the samples, ask three questions; ONCE=1 stops then, VAULT=1 EDGE=1 OBSERVE=1 add Vault, Envoy, Prometheus
	@exec $(BIN)/python -m rag_local

test: $(READY) ## all tests, with the real parts
	@$(BIN)/python -m rag_embedder.library
	@$(BIN)/pytest $(TESTS)

check: $(READY) protos-check lint types security test ## what CI runs
	@ONCE=1 RAG_HOME=$$(mktemp -d)/rag EMBEDDER_MODELS_DIR=$(CURDIR)/.rag/models $(MAKE) --no-print-directory run
	@ONCE=1 VAULT=1 EDGE=1 RAG_HOME=$$(mktemp -d)/rag EMBEDDER_MODELS_DIR=$(CURDIR)/.rag/models $(MAKE) --no-print-directory run

format: $(READY) ## put the code into form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .

lint: $(READY) ## form, lint, import contracts, contracts' style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/buf lint

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

protos: $(READY) ## generate libs/protos from protos
	@$(BIN)/python scripts/protos.py

protos-check: $(READY) ## whether what is made from the code is current: stubs, OpenAPI, descriptors, dashboards, docs/metrics.md
	@$(BIN)/python scripts/protos.py --check
	@$(BIN)/python -m scripts.openapi --check
	@$(BIN)/python scripts/descriptors.py --check
	@$(BIN)/python -m scripts.dashboards --check
	@$(BIN)/python scripts/metrics.py --check

openapi: $(READY) ## write docs/openapi.json and the edge's descriptors from the contract
	@$(BIN)/python -m scripts.openapi
	@$(BIN)/python scripts/descriptors.py

security: $(READY) ## unsafe code, secrets, private keys, known vulnerabilities (AUDIT_REQUIRED=true insists)
	@$(BIN)/python scripts/security.py

injection: $(READY) ## prompt injection through each backend; writes docs/injection.md
	@$(BIN)/python scripts/injection.py

settings: $(READY) ## write docs/settings.md, docs/errors.md, docs/metrics.md and the .env templates from the code
	@$(BIN)/python scripts/settings.py
	@$(BIN)/python scripts/errors.py
	@$(BIN)/python scripts/metrics.py

dashboards: $(READY) ## write Grafana's dashboards from the code
	@$(BIN)/python -m scripts.dashboards

alarms: $(READY) ## break the platform in five ways, and see which alarm fires and when (20 minutes)
	@$(BIN)/python scripts/alarms.py

pictures: $(READY) ## the pictures of docs/operations.md, from a real run
	@$(BIN)/python -m scripts.pictures

eval: $(READY) ## quality on the sets in DATA, through a running gateway; writes docs/quality.md
	@$(BIN)/python scripts/evaluate.py $(DATA)

bench: $(READY) ## speed on this machine beside the bare model; writes docs/benchmarks.md
	@$(BIN)/python -m scripts.bench

clean: ## remove the environment and what was built; data stays
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
