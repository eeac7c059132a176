# Two commands on a fresh clone: `make demo` opens JupyterLab on a demo repository, `make test` runs every check.
# Needed before: python3 (3.11 or newer, to fetch the rest), git, make. Everything else lands in .tools, .venv and .demo.

VENV := .venv
BIN := $(VENV)/bin
# The pinned uv of this project unless the machine has its own.
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
DEMO ?= .demo
TEST_DEMO := .test_demo
ON_DEMO := LENTICULAR_TEST_DEMO=$(CURDIR)/$(TEST_DEMO)
SYSTEM := packaging hub binder notebooks
# Some machines forbid bytecode; each of the many processes of a run would compile its imports anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test setup lab check unit extension system browser finished-demo docs lock clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo   build the demo repository (first time: a few minutes) and open JupyterLab on it"
	@echo "make test   run every check and test"
	@echo "make check  only formatting, lint, types and layers"
	@echo "make clean  take away what the above have made"

demo: setup lab
	@exec $(BIN)/lenticular demo --folder $(DEMO) $(ARGS)

test: check unit extension system browser

setup: $(VENV)/.ready

# Builds what is older than its sources; without Node it says what is left out.
lab: $(VENV)/.ready
	@bash .ci/install-labextension $(VENV)

check: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy butler pipelines platform widgets tests
	$(BIN)/lint-imports

# Two at a time, a file at once, since a file's tests share what is dear to make.
unit: $(VENV)/.ready
	$(BIN)/python -m pytest tests $(foreach folder,$(SYSTEM) browser,--ignore=tests/$(folder)) -n 2 --dist loadfile $(ARGS)

extension: lab
	cd platform/labextension && npm run --silent lint && npm run --silent test

# What is tested as a whole: built, installed, started and used.
system: finished-demo
	$(ON_DEMO) $(BIN)/python -m pytest $(addprefix tests/,$(SYSTEM)) $(ARGS)

# A run of its own: Playwright's event loop and pytest-jupyter's cannot share a process.
browser: finished-demo
	@bash .ci/install-browser
	$(ON_DEMO) $(BIN)/python -m pytest tests/browser $(ARGS)

# One demo for all tests that begin with a finished one.
finished-demo: lab
	$(BIN)/lenticular demo --size tiny --folder $(TEST_DEMO) -- true

docs: $(VENV)/.ready
	$(BIN)/python docs/build_cli.py > docs/cli.md

lock: .tools/bin/uv
	$(UV) pip compile --quiet --universal --python-version 3.13 --all-extras --group dev --generate-hashes --no-header -o requirements.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.13 --extra demo --group build --generate-hashes --no-header --no-annotate -c requirements.lock -o binder/requirements.txt pyproject.toml

clean:
	rm -rf platform/labextension/node_modules platform/labextension/lib platform/labextension/dist platform/hub/node_modules
	rm -rf $(VENV) .tools .pytest_tmp .mypy_cache .ruff_cache .import_linter_cache .hypothesis screenshots $(DEMO) $(TEST_DEMO)

.tools/bin/uv:
	@echo "lenticular: fetching uv"
	@bash .ci/install-uv

$(VENV)/.ready: requirements.lock pyproject.toml | $(filter .tools/bin/uv,$(UV))
	@bash .ci/install-environment "$(UV)" $(VENV)
	@touch $@
