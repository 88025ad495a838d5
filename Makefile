# The same commands for people and for CI. `make help` lists them.
#
# Everything is relative to this file's folder, so `make -C DIR` works, also where DIR has spaces in its name.

PYTHON ?= python3
PY := .venv/bin/python
JOBS ?= auto
K ?=
ENGINE ?=
CXDB ?=
CXDB_IMAGE ?=
CXDB_BASE ?=
ARGS ?=
CXDB_ARGS = $(if $(CXDB),--cxdb "$(CXDB)") $(if $(CXDB_IMAGE),--cxdb-image "$(CXDB_IMAGE)") $(if $(CXDB_BASE),--cxdb-base-image "$(CXDB_BASE)")

.DEFAULT_GOAL := help
.PHONY: help matrix prove crash agents test check lint format types docs bench venv clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r a b; do printf '%-18s %s\n' "$$a" "$$b"; done

matrix: .venv/.ready ## Run the guardrail matrix, its teeth and crash points; reports/ has what it found. K='expr' picks cases, ENGINE='cmd' another engine, CXDB=container another CXDB
	@$(PY) -P -m harness matrix -n $(JOBS) $(CXDB_ARGS) $(if $(K),-k "$(K)") $(if $(ENGINE),--engine "$(ENGINE)",$(if $(K),,--prove-short --crash-short)) $(ARGS)

prove: .venv/.ready ## Show for every guardrail that its rows turn red when the original bug is put back
	@$(PY) -P -m harness prove -n $(JOBS) $(CXDB_ARGS) $(if $(K),-k "$(K)") $(ARGS)

crash: .venv/.ready ## Kill the engine at every durable step, resume, compare; reports/crash/ has the table. ARGS=--short for a sample
	@$(PY) -P -m harness crash $(CXDB_ARGS) $(if $(ENGINE),--engine "$(ENGINE)") $(ARGS)

agents: .venv/.ready ## Install the open-source agent programs into .agents/, for the rows with real agents; needs Node.js
	@$(PY) -P -m harness.agents

test: .venv/.ready ## Run the tests. K='expr' picks some
	@$(PY) -m pytest -n $(JOBS) $(if $(K),-k "$(K)") $(ARGS)

check: lint types ## Lint and type-check

lint: .venv/.ready
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: .venv/.ready
	@$(PY) -m mypy

format: .venv/.ready ## Format the code and fix what can be fixed
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

docs: .venv/.ready ## Rewrite the pages that are made from tables in the code
	@$(PY) -m tests.docs.generate

bench: .venv/.ready ## Measure speed, side by side; prints a table, writes reports/bench.json
	@$(PY) -P -m harness bench $(ARGS)

venv: .venv/.ready ## Make the virtual environment and install everything into it

.venv/.ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing: install python3 (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: 3.11 or newer is needed (make PYTHON=python3.12 ...)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@command -v git >/dev/null || { echo "git is missing (Debian, Ubuntu: apt-get install git)" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once; takes a minute)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[test,docker]'
	@touch .venv/.ready

clean: ## Remove the virtual environment, reports and caches
	rm -rf .venv reports build ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
