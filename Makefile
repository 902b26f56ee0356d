# make run: from a fresh clone to an answer. make test: the same set-up, then every check.
# make PYTHON=python3.13 run: by that one; a .venv of another Python is made anew.
PYTHON ?=
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

ifneq ($(PYTHON),)
ifneq ($(shell $(BIN)/python --version 2>&1),$(shell $(PYTHON) --version 2>&1))
.PHONY: another-python
$(SETUP): another-python
endif
endif

clean:
	rm -rf .venv
