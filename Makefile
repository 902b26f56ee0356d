# make run: from a fresh clone to an answer. make test: the same set-up, then the checks that take
# minutes; the tests that are long by nature are run by make soak-quick, as CI does.
# make PYTHON=python3.13 run: by that one; a .venv of another Python is made anew.
PYTHON ?=
BIN := .venv/bin
SETUP := .venv/.ready

.PHONY: run test soak soak-quick setup clean gpu image

run: $(SETUP)
	$(BIN)/optsearch run --study digits

test: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

# What is long by nature, the tests that kill for an hour included.
soak: $(SETUP)
	$(BIN)/pytest -m soak
	$(BIN)/pytest tests/soak -n 0 -s -v

# The same with a few kills only, within minutes.
soak-quick: $(SETUP)
	$(BIN)/pytest -m soak
	SOAK_KILLS=5 SOAK_TRIALS=10 $(BIN)/pytest tests/soak/test_kills.py -n 0 -s -v

# On a machine with a GPU and torch, and nothing else: gpu.md, within nine minutes. Sets nothing up.
# make CIFAR=FOLDER gpu: with CIFAR-10 as JPEG files, for a baseline in full.
gpu:
	PYTHONPATH=. $(or $(PYTHON),python3) tests/benchmarks/gpu_all.py $(if $(CIFAR),--cifar $(CIFAR))

# docs/container.md; make image TORCH=cuda: for GPUs. DOCKER=podman: by that.
TORCH ?= cpu
DOCKER ?= docker
image:
	$(DOCKER) build -f .ci/Dockerfile --build-arg TORCH=$(TORCH) -t optsearch:$(TORCH) .

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt .ci/setup
	PYTHON=$(PYTHON) bash .ci/setup
	@touch $@

ifneq ($(PYTHON),)
ifneq ($(shell $(BIN)/python --version 2>&1),$(shell $(PYTHON) --version 2>&1))
.PHONY: another-python
$(SETUP): another-python
endif
endif

clean:
	rm -rf .venv
