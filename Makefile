# Every target works alone on a fresh checkout: what it needs is set up first, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Arguments of `trine profile`, for example: make profile ARGS="--layers 2 --out /tmp/p"
ARGS ?=

# Text and result of `make train`.
BOOKS ?= books
OUT ?= trine-train-stories

NATIVE := $(wildcard native/*.cpp native/*.h native/isa/*.cpp native/isa/*.h)
ENVIRONMENT := $(VENV)/.environment
INSTALLED := $(VENV)/.installed
HARDWARE := $(VENV)/.hardware
PEERS := $(VENV)/.peers

.PHONY: setup profile train hw test test-hw test-sanitize lint format clean

setup: $(INSTALLED)

profile: $(INSTALLED)
	$(BIN)/trine profile --layers fit $(ARGS)

# The model that ships, in hours; BOOKS is a folder of .txt files. The same command goes on.
train: $(INSTALLED)
	scripts/train-stories.sh "$(BOOKS)" "$(OUT)"

# One BitLinear of 2B-4T size through the simulated unit.
hw: $(INSTALLED) $(HARDWARE)
	$(BIN)/trine hw simulate

test: $(INSTALLED) $(HARDWARE) $(PEERS)
	$(BIN)/pytest -q -m "not hardware"

test-hw: $(INSTALLED) $(HARDWARE)
	$(BIN)/pytest -q tests/hw tests/rtl

# Memory, undefined behaviour and data races of the native code.
test-sanitize: $(INSTALLED)
	scripts/test-sanitize.sh

lint: $(INSTALLED) $(HARDWARE)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(NATIVE)

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -exec rm -rf {} +

# The environment and the tools that build the extension. The version is checked here because pip
# would only name the project it cannot install, and not what to do.
$(ENVIRONMENT): scripts/system-packages.sh constraints.txt
	PYTHON="$(PYTHON)" scripts/system-packages.sh
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("trine needs Python 3.11 or newer; choose one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt scikit-build-core nanobind cmake ninja
	touch $@

# The project itself, editable: Python runs from src, and the extension is rebuilt here whenever a
# native file changed (incrementally, in build).
$(INSTALLED): $(ENVIRONMENT) pyproject.toml constraints.txt CMakeLists.txt $(NATIVE)
	$(PIP) install --no-build-isolation -c constraints.txt -e '.[torch,dev]'
	touch $@

# The hardware tools are large and of no use to a profile: a target of their own, and of the tests.
$(HARDWARE): $(ENVIRONMENT) pyproject.toml constraints.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["hw"], sep="\n")' > $(VENV)/hardware.txt
	$(PIP) install -c constraints.txt -r $(VENV)/hardware.txt
	touch $@

# What others judge models and files by. llama.cpp is compiled, once and without its programs: five
# minutes of two cores; pip keeps the result.
$(PEERS): $(ENVIRONMENT) pyproject.toml constraints.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["peers"], sep="\n")' > $(VENV)/peers.txt
	CMAKE_ARGS="-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF" $(PIP) install -c constraints.txt -r $(VENV)/peers.txt
	touch $@
