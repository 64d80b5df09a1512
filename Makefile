# Nine commands for developers; CONTRIBUTING.md has them in plain form for systems without make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
ALBUMENTATIONS = albumentations==2.0.8 albucore==0.0.24

.PHONY: setup check test golden bench samples docs package clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,live,openvino,training,ui,export]"
	$(BIN)/python -m pip install -q --no-deps $(ALBUMENTATIONS)
	touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest

golden: setup
	$(BIN)/python tests/regression/refresh.py

bench: setup
	$(BIN)/humanseg bench

samples: setup
	$(BIN)/python -m pip install -q scikit-image
	$(BIN)/python samples/make_samples.py

docs: setup
	$(BIN)/python docs/make_pictures.py
	$(BIN)/python packaging/make_man_page.py
	$(BIN)/python packaging/make_icon.py

package: setup
	$(BIN)/python -m pip install -q build twine
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
