# make run: from a fresh clone to an answer. make test: the same set-up, then every check.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.ready

.PHONY: run test soak setup clean

run: $(SETUP)
	$(BIN)/optsearch run --study digits

test: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

# The tests that kill for an hour.
soak: $(SETUP)
	$(BIN)/pytest tests/soak -n 0 -s -v

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt .ci/setup
	PYTHON=$(PYTHON) bash .ci/setup
	@touch $@

clean:
	rm -rf .venv
