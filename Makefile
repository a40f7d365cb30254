# Needs Python 3.11 or newer with pip and venv; everything else comes from PyPI into .venv.
# Another interpreter: make setup PYTHON=python3.13
# Without a GPU on Linux, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu saves a large download.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.siamtrack-setup

.PHONY: setup install test demo check docs wheel-test clean

setup: $(STAMP)

# done once, and again when the requirements change; an environment that has them all is left as it is
$(STAMP): pyproject.toml constraints.txt
	@$(BIN)/python -c "$$HAS_ALL" 2>/dev/null || $(MAKE) --no-print-directory install
	@touch $@

install:
	@$(PYTHON) -c 'import sys; sys.exit("siamtrack needs Python 3.11 or newer; make setup PYTHON=...") if sys.version_info < (3, 11) else None'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'

test: setup
	$(BIN)/python -m pytest $$($(BIN)/python -c 'import xdist' 2>/dev/null && printf '%s' '-n 2')

demo: setup
	$(BIN)/siamtrack demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: setup
	$(BIN)/mkdocs build --strict --quiet

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
	rm -rf dist build site siamtrack-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

define HAS_ALL
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path
from pip._vendor.packaging.requirements import Requirement

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
pins = [line for line in Path("constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
for text in [*project["dependencies"], *sum(project["optional-dependencies"].values(), []), *pins]:
    wanted = Requirement(text)
    if wanted.name != project["name"]:
        assert wanted.specifier.contains(version(wanted.name), prereleases=True), text
assert Path.cwd().as_uri() in distribution(project["name"]).read_text("direct_url.json")
endef
export HAS_ALL
