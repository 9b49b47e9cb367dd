# Set-up, tests and the demonstration. Needs Python 3.11 or later, g++ and make; everything else goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ROOMS := ir passes compiler runtime codegen_templates
SOURCES := pyproject.toml CMakeLists.txt docs/troubleshooting.md $(wildcard examples/digits_moe/*.onnx examples/digits_moe/*.npz) \
	$(shell find $(ROOMS) package -type f ! -name '*.pyc' ! -name '*.so')
TOOLS := PYTHON=$(abspath $(BIN)/python) PATH="$(abspath $(BIN)):$$PATH"
# More than cores: many tests wait.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS)

.PHONY: help demo test lint types smoke slow sanitize kernels format clean

help:
	@echo "make demo      compile the bundled mixture of experts, run both parties, compare with onnxruntime"
	@echo "make test      lint, types and every test (about ten minutes on four cores)"
	@echo "make smoke     the quick tests, under a minute"
	@echo "make lint, types, slow, sanitize    the other parts of make test"
	@echo "make format    format the sources"
	@echo "make kernels   build the native kernels into the source tree, for work on them"
	@echo "make clean     remove .venv and everything built"

demo: $(VENV)/installed
	@$(BIN)/mpcc demo

test: lint types smoke slow sanitize
	@echo "make test: everything passed"

lint: $(VENV)/installed-test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@echo "lint and format: clean"

format: $(VENV)/installed-test
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format .

types: build/typing/mpcc
	@$(BIN)/mypy

smoke: $(VENV)/installed-test
	@echo "quick tests"
	@$(PYTEST) -m "not slow"

slow: $(VENV)/installed-test
	@echo "slow tests"
	@$(PYTEST) -m slow

sanitize: $(VENV)/installed-test
	@echo "kernel tests under the address and undefined-behaviour sanitizers (log: build/sanitize.log)"
	@mkdir -p build
	@$(TOOLS) tests/runtime/kernels/sanitize.sh -n auto > build/sanitize.log 2>&1 || { tail -n 50 build/sanitize.log; exit 1; }
	@tail -n 1 build/sanitize.log

kernels: build/typing/mpcc
	@$(TOOLS) cmake --build build/dev --parallel

# CMake's development mode links the rooms into the package mpcc that mypy reads.
build/typing/mpcc: $(VENV)/installed-test
	@$(TOOLS) cmake -S . -B build/dev -DMPCC_DEVELOP=ON -DPython_EXECUTABLE="$(abspath $(BIN)/python)" > /dev/null
	@touch $@

$(VENV)/created:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "mpcc needs Python 3.11 or later; name one with make PYTHON=/path/to/python"; exit 1; }
	@command -v $${CXX:-g++} > /dev/null || { echo "mpcc needs g++ to build its kernels"; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/created $(SOURCES)
	@echo "installing mpcc (compiles the kernels, about a minute)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check .
	@touch $@

$(VENV)/installed-test: $(VENV)/created $(SOURCES)
	@echo "installing mpcc and what its tests need (compiles the kernels, about a minute)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check '.[test]'
	@touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) build runtime/kernels/*.so
	find $(ROOMS) tests examples -name __pycache__ -prune -exec rm -rf {} +
