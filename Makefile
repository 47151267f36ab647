# focusrail: `make demo` shows it, `make test` proves it. Both set up all they need.
SHELL := /bin/sh
.DEFAULT_GOAL := all
PY := .venv/bin/python
OUT ?= demo-out
JOBS ?= 2

.PHONY: all dev demo test lint soak interop clean
all: ; @.ci/setup run
dev: ; @.ci/setup dev

# Shoot, stack and finish on the simulated bench.
demo: all
	@rm -rf $(OUT)
	@.venv/bin/focusrail demo --out $(OUT)

lint: dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test: lint
	$(PY) -m pytest -n $(JOBS) --dist loadgroup -m "not soak and not interop and not hardware"

# Long campaigns; their figures stand in docs/.
soak: dev
	$(PY) -m pytest -m soak --timeout 7200

# Our outputs opened with outside programs.
interop: dev
	$(PY) -m pytest -m interop

clean:
	rm -rf .venv demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
