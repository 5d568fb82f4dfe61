# The front door: every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
MEMBERS := libs/contracts libs/servicekit libs/channelkit libs/practice services/accounts services/campaigns services/channel-email services/channel-telegram services/channel-whatsapp deploy/local
STAMP := .venv/.ready
WEB := services/channel-whatsapp/web
BROWSER := .venv/.browser
CHANNEL ?= email
RECIPIENTS ?= $(if $(filter whatsapp,$(CHANNEL)),50,200)

.PHONY: help demo test test-fast setup up down status check format bench bench-scale faults docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(STAMP) ## rehearse a whole campaign and leave Kurir up (CHANNEL=telegram: another channel; EXIT=1: stop everything)
	$(BIN)/kurir demo --channel $(CHANNEL) --recipients $(RECIPIENTS) $(if $(EXIT),--exit)

test: $(STAMP) ## every test: unit, contract, integration, end to end, faults in short form; most of them wait, so three at once
	$(BIN)/pytest tests -n 3 --dist loadfile

test-fast: $(STAMP) ## unit and contract tests only: seconds, no servers
	$(BIN)/pytest tests/unit tests/contract

setup: $(STAMP) ## create .venv and install everything, with hashes

up: $(STAMP) ## start Kurir and leave it up
	$(BIN)/kurir up --detach

down: $(STAMP) ## stop Kurir
	$(BIN)/kurir down

status: $(STAMP) ## say what is up
	$(BIN)/kurir status

check: $(STAMP) ## lint, format, types (of every call into WhatsApp's page too), import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addsuffix /src,$(MEMBERS))
	$(BIN)/lint-imports
	$(BIN)/node $(WEB)/node_modules/typescript/bin/tsc --project $(WEB)/tsconfig.json

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure against baselines run side by side; writes build/bench.json
	$(BIN)/python -m tests.bench.run $(FIGURES)

bench-scale: $(STAMP) ## measure 10,000 accounts, a large ledger and NATS's sync modes; minutes; writes build/bench-scale.json
	$(BIN)/python -m tests.bench.scale $(PARTS)

faults: $(STAMP) ## kill, freeze and cut the real processes: the long form (make test runs the short one)
	$(BIN)/pytest tests/faults tests/property --full -n 3 --dist loadfile

docs: $(STAMP) ## write the generated documents: AsyncAPI, OpenAPI, published schemas
	$(BIN)/python -m contracts.compatibility --publish
	$(BIN)/python -m contracts.asyncapi docs/asyncapi
	$(BIN)/python -m tests.support.openapi docs/openapi
	$(BIN)/python -m tests.support.settings_table docs/settings.md

lock: $(STAMP) ## resolve the dependencies anew
	$(BIN)/python requirements/lock.py $(LOCK)

clean: ## remove what the targets made
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

demo test setup up check bench faults: $(BROWSER)

$(BROWSER): requirements/browser.sh $(WEB)/package-lock.json | $(STAMP)
	@if requirements/browser.sh; then touch $@; else echo "e-mail and Telegram work without; the rest of the set-up is done" >&2; fi

$(STAMP): requirements/all.txt requirements/uv.txt $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Kurir needs Python 3.11 or newer: apt install python3, or make setup PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing: apt install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install -q --compile-bytecode --require-hashes -r requirements/all.txt
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@
	@echo "ready: $(BIN)/kurir --help"
