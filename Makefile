# make run: from a fresh clone to an answer. make test: the same set-up, then every check.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.ready

.PHONY: run test setup clean

run: $(SETUP)
	$(BIN)/optsearch run --study digits

test: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt .ci/setup
	PYTHON=$(PYTHON) bash .ci/setup
	@touch $@

clean:
	rm -rf .venv
