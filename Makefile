# Everything is run from here. `make help` lists the targets; each makes the environment it needs by itself.

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make PYTHON=/path/to/python3.13 …` overrides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
# pytest-xdist: two workers pay for themselves because most tests wait for a process of their own.
WORKERS ?= 2
COVERAGE_FLOOR := 90
JS := tests/hosts/js
# Compiled once, not by each daemon that a test spawns.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick check lint schemas bench fuzz kills soak build package clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ── environments ─────────────────────────────────────────────────────────────────────────────────────
# Two stamps: the demo needs only what users install; tests and checks need the tools as well.

$(VENV)/.runtime: pyproject.toml
	@test -n "$(PYTHON)" || { echo "omnirt needs Python 3.11 or newer on PATH (or make PYTHON=…)" >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) …" >&2
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'   # the first pip with --group
	@$(BIN)/python -m pip install --quiet --editable '.[local]' || { test -z "$$CI" && \
		echo "The models of the provider local do not install here: a simulator answers" >&2 && \
		$(BIN)/python -m pip install --quiet --editable .; }
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Adding the development tools …" >&2
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

# The JavaScript hosts of the tests. Without npm those tests are left out, but not under CI.
$(JS)/node_modules/.npm: $(JS)/package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --prefix $(JS) && touch $@; else false; fi \
		|| { echo "npm is missing or failed: tests with JavaScript hosts are left out" >&2; test -z "$$CI"; }

setup: $(VENV)/.dev ## Make .venv with everything (quick the second time)

# ── use ──────────────────────────────────────────────────────────────────────────────────────────────

demo: $(VENV)/.runtime ## Hold a voice conversation with the daemon, offline (DEMO_ARGS="--fast" to hurry)
	@$(BIN)/omnirt demo $(DEMO_ARGS)

# ── development ──────────────────────────────────────────────────────────────────────────────────────

test: $(VENV)/.dev $(JS)/node_modules/.npm ## Run every test, with coverage (TEST_ARGS="-k framing" to choose)
	@$(BIN)/coverage erase
	@code=0; $(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadgroup $(TEST_ARGS) || code=$$?; \
		$(BIN)/coverage combine --quiet 2>/dev/null || $(BIN)/coverage combine; \
		echo "coverage with branches: $$($(BIN)/coverage report --format=total) %"; exit $$code
# (The first combine keeps quiet: a daemon that was killed leaves half a data file, which is passed over.)

quick: $(VENV)/.dev ## Run the unit and property tests only, without coverage
	@$(BIN)/pytest tests/unit tests/property $(TEST_ARGS)

$(VENV)/.fuzz: $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --group fuzz
	@touch $@

fuzz: $(VENV)/.fuzz ## Drive the property tests by coverage (FUZZ_ARGS="--seconds 300 envelopes" to choose)
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

kills: $(VENV)/.dev ## Kill a daemon that records, 50 times, and look at what is left (KILLS_ARGS=8 for fewer)
	@$(BIN)/python -m tests.support.kills $(KILLS_ARGS)

soak: $(VENV)/.dev ## Twenty sessions at random for minutes, and what leaks (SOAK_ARGS="--seconds 3600 --seed 7")
	@$(BIN)/python -m tests.soak $(SOAK_ARGS)

lint: $(VENV)/.dev
	@failed=0; for step in "ruff check ." "ruff format --check ." mypy lint-imports codespell; do \
		echo "── $$step"; $(BIN)/$$step || failed=1; done; exit $$failed

check: lint .coverage ## Lint, types, import contracts, spelling, schema drift, coverage floor
	@echo "── schemas" && $(BIN)/omnirt schema --check schemas
	@echo "── coverage" && $(BIN)/coverage report --skip-covered --skip-empty --fail-under=$(COVERAGE_FLOOR)

# Only when there are no figures yet: `make test` leaves them.
.coverage: | $(VENV)/.dev
	@$(MAKE) test

schemas: $(VENV)/.dev ## Write schemas/ from the tables in omnirt/protocol
	@$(BIN)/omnirt schema --write schemas

bench: $(VENV)/.dev ## Measure costs and latencies beside their floors, into docs/BENCHMARKS.md (BENCH=latency to choose)
	@$(BIN)/python -m tests.benchmarks $(BENCH)

build: $(VENV)/.dev ## Build the wheel and the source archive into dist/
	@rm -rf dist && $(BIN)/python -m build . >/dev/null && ls dist

package: build ## Install what was built into fresh environments, one for each Python that is here, and run it
	@$(BIN)/pytest -m package -n 3 --dist loadgroup tests/packaging $(TEST_ARGS)

clean: ## Remove everything that was made here, the environment too
	rm -rf $(VENV) build dist demo-data .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis .import_linter_cache $(JS)/node_modules
	find omnirt tests -name __pycache__ -type d -prune -exec rm -rf {} +
