# focusrail: `make demo` shows it, `make test` proves it. Both set up all they need.
SHELL := /bin/sh
.DEFAULT_GOAL := all
PY := .venv/bin/python
OUT ?= demo-out
JOBS ?= 3

.PHONY: all dev demo test lint soak interop benchmarks firmware test-firmware flash clean
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

# A module's or class's tests stay in one process: they share a bench, and a port is held by one process at a time.
# The firmware's tests need system packages; without them, and without the rights to install them, they are skipped, but never in CI.
test: lint
	@.ci/setup firmware || [ -z "$$CI" ]
	$(PY) -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -m "not soak and not interop and not hardware"

# Long campaigns; their figures stand in docs/.
soak: dev firmware
	$(PY) -m pytest -m soak --timeout 7200 --hypothesis-profile=default

# Our outputs opened with outside programs: GIMP, a browser, exiftool, LibRaw, psd-tools, trimesh, FFmpeg's libraries.
interop:
	@.ci/setup interop
	FOCUSRAIL_INTEROP=all $(PY) -m pytest -n $(JOBS) -m interop tests

# Speed, memory and quality, ours and of the stackers installed (docs/benchmarks.md): make benchmarks PEERS=peers SIZE=--full
SIZE ?= --quick
benchmarks: dev
	.venv/bin/uv pip install --quiet --python $(PY) -e '.[benchmarks]'
	$(PY) -m benchmarks.run $(SIZE) $(if $(PEERS),--peers-venv $(PEERS))

# Firmware for one-axis rails: build it, try it in an AVR simulator, flash it (make flash PORT=/dev/ttyUSB0).
firmware:
	@.ci/setup firmware
	$(MAKE) -C firmware
test-firmware: dev firmware
	$(PY) -m pytest -m "not soak and not hardware" hil_tests/test_firmware_*.py
flash: firmware
	$(MAKE) -C firmware flash PORT=$(PORT)

clean:
	-$(MAKE) -C firmware clean
	rm -rf .venv demo-out benchmark-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
