# The whole entrance of the project. `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := $(shell find src -name '*.py')
IMAGE  ?= tiny
# pytest's worker processes: make test JOBS=1 runs all in one.
JOBS   ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup check tiny test boot debian run bench docs fuzz wheel clean

help:  ## list the targets (this list)
	@echo "Guesthouse: make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.native  ## install into .venv and build our native parts; leaves the program at .venv/bin/guesthouse

$(VENV)/.installed: pyproject.toml scripts/prerequisites
	@scripts/prerequisites $(PYTHON)
	@echo "==> setup: a local environment in $(VENV), with Guesthouse and all its tools in it"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	@touch $@

$(VENV)/.native: $(VENV)/.installed $(SOURCES)
	@echo "==> setup: building our own native parts (once per version, into your cache folder)"
	@$(BIN)/python -m compileall -q src  # as pip does for an installed wheel: the program starts sooner
	@$(BIN)/guesthouse build
	@touch $@

check: $(VENV)/.installed  ## ruff, mypy and import-linter
	@echo "==> check: ruff, mypy, import-linter"
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

tiny: $(VENV)/.installed  ## is anything badly broken? answers in 5 seconds
	@echo "==> tiny: the five-second test"
	@$(BIN)/python -m pytest -q tests/test_tiny.py

test: setup  ## all tests (a first run downloads the guest image)
	@echo "==> test: everything, on $(JOBS) processes"
	@$(BIN)/python -m pytest -q -n $(JOBS) tests

boot: setup  ## only the tests that boot real operating systems
	@echo "==> boot: real guests"
	@$(BIN)/python -m pytest -v -m boot tests

debian: setup  ## installs and boots a whole Debian, which takes minutes
	@echo "==> debian: pull and boot the image"
	@$(BIN)/python -m pytest -v -m debian tests

run: setup  ## boot Debian to a shell on this terminal (gets the guest the first time); IMAGE=name for another
	@echo "==> run: booting '$(IMAGE)'; Ctrl-A x quits, Ctrl-A h tells more"
	@$(BIN)/guesthouse run $(IMAGE)

bench: setup  ## measure our speed against qemu-system-riscv64, in turn; BENCH="--help" tells the options
	@echo "==> bench: CPU time of ours and of QEMU on the same programs (takes a while)"
	@$(BIN)/python -m benchmarks.bench $(BENCH)

docs: setup  ## generate the reference page of every instruction into docs/isa/
	@echo "==> docs: instruction reference"
	@$(BIN)/guesthouse isa --markdown docs/isa

fuzz: setup  ## the long random tests (10^8 instruction cases: hours); CASES=n for another number
	@echo "==> fuzz: random instructions and programs, all engines"
	@GUESTHOUSE_FUZZ_CASES=$(or $(CASES),100000000) $(BIN)/python -m tests.fuzz.run

wheel: $(VENV)/.installed  ## build the wheel into dist/
	@echo "==> wheel: dist/"
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:  ## remove what the build made (not the images you pulled)
	@echo "==> clean: .venv, build, dist, caches of the tools"
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache benchmarks/build
