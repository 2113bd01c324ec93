# Every target works in a clean clone: each makes .venv first. Continuous integration calls the same targets.
SHELL := /bin/sh
PY := .venv/bin/python
VENV := .venv/.installed
TORCH := .venv-torch/.installed
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test torch dali lint fmt type bench gold docs wheel mutation clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV): pyproject.toml hatch_build.py .ci/make-venv
	@.ci/make-venv
	@touch $@

demo: $(VENV) ## Compile an example, serve it with a real tritonserver, send images, measure, stop
	@.venv/bin/tpgen demo

test: lint type ## Lint, check types, and run the whole test suite, with 2,000 random pipelines
	@TPGEN_EQUIVALENCE=600 TPGEN_EQUIVALENCE_GRAPHS=1400 $(PY) -m pytest -n auto --dist loadfile

dali: $(VENV) ## Install DALI (520 MB) into .venv, and run the tests that need it; no GPU is needed
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[serve,dev,dali]'
	@$(PY) -m pytest -n auto --dist loadfile tests/dali tests/test_dali_stage.py

torch: $(TORCH) ## Make .venv-torch, beside .venv with torch, and run the tests that need it; no GPU is needed
	@.venv-torch/bin/python -m pytest -m torch

$(TORCH): $(VENV)
	@$(PY) -m venv .venv-torch
	@$(PY) -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' \
		> "$$(.venv-torch/bin/python -c 'import site; print(site.getsitepackages()[0])')/beside.pth"
	@.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check torch
	@touch $@

lint: $(VENV) ## Style (ruff), import layers (import-linter)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/lint-imports --no-logo

fmt: $(VENV) ## Format, and mend what ruff can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

type: $(VENV) ## Strict types on the compiler (mypy)
	@$(PY) -m mypy

bench: $(VENV) ## Measure served pipelines against the frozen baselines in benchmarks/
	@$(PY) benchmarks/run.py

gold: $(VENV) ## Update the golden files after a change that is meant
	@$(PY) -m pytest -q --update-golden

docs: $(VENV) ## Generate docs/operators.md and docs/errors.md anew
	@$(PY) docs/generate.py

wheel: $(VENV) ## Build the wheel from the source distribution, into dist/
	@rm -rf dist build/sdist
	@$(PY) -m hatchling build -t sdist -d build/sdist
	@cd build/sdist && tar -xzf tpgen-*.tar.gz --strip-components=1
	@cd build/sdist && ../../$(PY) -m hatchling build -t wheel -d ../../dist

mutation: $(VENV) ## Plant errors in the kernels; each must turn a test red
	@$(PY) tests/mutation/run.py

clean: ## Remove .venv and everything that the other targets wrote
	@rm -rf .venv .venv-torch build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
