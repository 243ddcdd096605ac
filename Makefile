# Everything runs in .venv, made from requirements.lock; `make PYTHON=python3.12 test` picks another Python,
# `make LOCK=requirements-cuda.lock ...` adds NVIDIA's libraries.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
  if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)
LOCK ?= requirements.lock
BIN := .venv/bin
INSTALLED := .venv/.installed-$(LOCK)
# Compiling is what most tests wait for: passes over loops are half of what XLA does for a search, and programs
# that are not optimised at all are made in a third of the time. The flags are of the locked XLA; others may not
# know them.
SOON := --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 \
  --xla_disable_hlo_passes=while-loop-invariant-code-motion,simplify-while-loops,while-loop-trip-count-annotator
OPTIMISED := XLA_FLAGS="$(SOON)"
QUICKLY := XLA_FLAGS="$(SOON) --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# One process more than cores: tests also wait for browsers, actors and processes of their own. A few help, more
# only cost memory. The order of the files is that of tests/conftest.py.
PROCESSES := $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
COMPILE = $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 \
  --extra dev --extra docs --extra bitbully --extra pgx --extra openspiel --extra onnx --extra fleet \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock"
# uv installs in a fifth of pip's time. It knows nothing of pip's own settings: where they lead to packages that
# it does not find, pip installs.
UV_INSTALL = $(BIN)/uv pip install --python $(BIN)/python $(if $(PIP_INDEX_URL),--default-index $(PIP_INDEX_URL))
DEMO_RUN := runs/tic_tac_toe

# The wheels hold the type checker and its node; the variable stops it from asking for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# An advertisement of other software.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help .venv .chromium demo test check format docs bench lock clean

help: ## List these targets
	@sed -n 's/^\([a-z.]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.venv: $(INSTALLED) ## Create .venv with the locked requirements and this project in it

$(INSTALLED): $(LOCK) pyproject.toml
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' 2>/dev/null || { \
	  echo "$(or $(PYTHON),nothing on the PATH) is no Python 3.11 to 3.13; install one, or name it: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' $(LOCK) > .venv/uv.lock
	$(BIN)/python -m pip install --require-hashes -r .venv/uv.lock
	$(UV_INSTALL) --require-hashes -r $(LOCK) || $(BIN)/python -m pip install --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	@touch $@

demo: .venv ## Train tic-tac-toe, then hold it against the exact solver
	$(BIN)/xit train tic_tac_toe --run-dir $(DEMO_RUN)
	$(BIN)/xit bench $(DEMO_RUN) --json $(DEMO_RUN)/bench.json

.chromium: ## Debian's browser for the tests of the page, where it may be installed
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  && timeout 600 sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	    apt-get -qq install -y --no-install-recommends chromium' >/dev/null 2>&1; } \
	  || echo "Chromium cannot be installed here: the tests of the page in a browser are skipped" >&2

test: ## Run the whole test suite
	@$(MAKE) --no-print-directory --jobs 2 .venv .chromium
	$(QUICKLY) $(PYTEST) -m "not computes"
	$(OPTIMISED) $(PYTEST) -m computes $$(grep -l mark.computes tests/test_*.py)

check: .venv ## Format, lint, types, import layers, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(QUICKLY) $(PYTEST) -m "not slow and not computes"

format: .venv ## Rewrite the files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

bench: .venv ## Run every benchmark; BENCH=--quick ends within minutes
	@mkdir -p runs/benchmarks
	@set -e; for script in benchmarks/*.py; do \
	  echo "== $$script"; \
	  $(BIN)/python $$script --json runs/benchmarks/$$(basename $$script .py).json $(BENCH); \
	done

lock: ## Resolve the requirements anew, for every supported Python
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --extra cuda --constraint requirements.lock pyproject.toml -o requirements-cuda.lock

clean: ## Remove .venv and caches; runs/ stays
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
