# viewledger: `make demo` shows it, `make test` proves it. Everything lives in .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JARS := $(VENV)/share/viewledger/kafka
WEB := sdk/web
NPM := npm --prefix $(WEB) --loglevel=error --no-progress

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench faults lock clean

help:            ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed $(JARS)/.installed $(WEB)/dist/viewledger.min.js   ## .venv with the locked packages, the Kafka jars, the browser SDK

$(VENV)/.installed: requirements.lock pyproject.toml sdk/python/pyproject.toml
	@scripts/prerequisites $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable sdk/python --editable .
	@touch $@

$(JARS)/.installed: pom.xml | $(VENV)/.installed
	@scripts/prerequisites $(PYTHON)
	@rm -rf $(JARS) && mkdir -p $(JARS)
	mvn --quiet --batch-mode -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory=$(JARS)
	@touch $@

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json | $(VENV)/.installed
	@scripts/prerequisites $(PYTHON)
	$(NPM) ci
	@touch $@

$(WEB)/dist/viewledger.min.js: $(WEB)/node_modules/.installed $(WEB)/package.json $(wildcard $(WEB)/src/*.ts $(WEB)/scripts/*.mjs)
	$(NPM) run --silent build

demo: install    ## the whole pipeline on embedded real services, with a summary
	$(BIN)/viewledger demo

check: install   ## the quick part of the tests: style, types, layers, units (under a minute on two idle cores)
	scripts/check

test: install    ## all tests
	scripts/check --all

faults: install  ## kill -9 at random points, 20 seeds
	$(BIN)/python -m pytest tests/faults --seeds 20 --timeout 3600

bench: install   ## the table of docs/performance.md, measured here
	$(BIN)/python -m bench

lock:            ## resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-package viewledger-sdk --upgrade --quiet -o requirements.lock

clean:           ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis $(WEB)/node_modules $(WEB)/dist
