# Needs Python 3.11 or newer with pip and venv; everything else comes from PyPI into .venv.
# Another interpreter: make setup PYTHON=python3.13
# Without a GPU on Linux, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu saves a large download.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.siamtrack-setup

.PHONY: setup test test-slow test-long demo check docs wheel-test clean

setup: $(STAMP)

# done once, and again when the requirements change
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("siamtrack needs Python 3.11 or newer; make setup PYTHON=...") if sys.version_info < (3, 11) else None'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@

# two processes with a thread each: with as many threads as cores each they wait for one another
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m 'not slow and not long'

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow tests

# minutes each: every network learns four clips by heart, published networks run on every runtime, and others
test-long: setup
	$(BIN)/python -m pytest -m long -rP tests

demo: setup
	$(BIN)/siamtrack demo --out out/demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# the wheel as a user gets it: no extras, no source tree, no torch
wheel-test: setup
	@set -eu; unset PYTHONPATH; root="$$PWD"; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(BIN)/python -m build --wheel --outdir "$$folder/dist" .; \
	$(BIN)/python -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet "$$folder"/dist/*.whl; \
	cd "$$folder"; \
	venv/bin/siamtrack demo --frames 30; \
	box=$$(awk -F, 'NR == 2 { print $$3 "," $$4 "," $$5 "," $$6 }' siamtrack-demo/demo.csv); \
	venv/bin/siamtrack track siamtrack-demo/demo.mp4 --box "$$box" --out boxes.csv; \
	test "$$(wc -l < boxes.csv)" -eq 31; \
	case "$$(venv/bin/python -c 'import siamtrack; print(siamtrack.__file__)')" in \
		"$$root"/*) echo 'The source tree was tested, not the wheel.'; exit 1 ;; \
	esac; \
	if venv/bin/python -c 'import torch' 2>/dev/null; then echo 'torch was installed with the plain wheel.'; exit 1; fi; \
	echo 'The wheel works on its own, without torch.'

# what builds and tests leave behind; the environment stays
clean:
	rm -rf dist build site out/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
