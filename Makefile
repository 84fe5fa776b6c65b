# Every target sets up what it needs: a virtual environment in $(VENV), the package and its tools.
# Only Python >= 3.11 (with its venv module) and make are expected to be there.

VENV := .venv
BIN := $(VENV)/bin
TESTS :=
COMPILED := hatch_build.py $(wildcard src/likewise/native/*.[ch])
COINS := --box 81,39,120,74 --box 189,170,237,217 --box 305,16,364,73

# The first interpreter that is new enough and can make virtual environments; `make PYTHON=...` overrides it.
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.14 python3.13 python3.12 python; do \
	"$$p" -c '$(SUITABLE)' 2>/dev/null && { echo "$$p"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz check format clean

help:
	@echo "make demo    count the coins in a photograph from three boxes, and draw the result"
	@echo "make test    run the tests, or some of them: make test TESTS=tests/ops"
	@echo "make fuzz    attack it with damaged files, prompts, tables, projects and requests for ten minutes"
	@echo "make check   check format, lint, types and layers"
	@echo "make format  format the code"
	@echo "make clean   remove the virtual environment, caches and demo output"

demo: $(VENV)/.installed
	@mkdir -p demo
	@$(BIN)/python -c "from skimage import data, io; io.imsave('demo/coins.png', data.coins())"
	$(BIN)/likewise count demo/coins.png $(COINS) -o demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --dist loadfile $(TESTS)

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz.py

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf $(VENV) build dist demo fuzz runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "likewise needs Python 3.11 or newer with its venv module (on Debian: apt install python3 python3-venv)."; \
		echo "Name the interpreter if it has another name: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c '$(SUITABLE)' || { echo "$(PYTHON) is older than Python 3.11 or lacks its venv module."; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# The stamps make an installation happen once, and again when pyproject.toml or something that is compiled changes.
$(VENV)/.installed: pyproject.toml $(COMPILED) | $(BIN)/python
	@echo "Installing likewise into $(VENV); PyTorch is large, the first time takes minutes."
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(COMPILED) | $(BIN)/python
	@echo "Installing likewise and its tools into $(VENV); PyTorch is large, the first time takes minutes."
	$(BIN)/python -m pip install --quiet --editable ".[train,export,app,dev]"
	@touch $(VENV)/.installed $@
