# Vitreous: every task is one `make` word. `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-complete
# Two workers suit two cores; `make test WORKERS=8` on a larger machine.
WORKERS ?= 2
# Extra words for pytest, for example `make test PYTEST_ARGS="-k softmax"`.
PYTEST_ARGS ?=
# Folders whose Python is ours; vitreous/<room> are links to the rooms and are not named twice.
SOURCES := $(wildcard spec golden quant compiler hw sim reports models vitreous campaigns tests benchmarks examples)
# make's own flags must not reach the nested make of a simulation build.
unexport MAKEFLAGS

.PHONY: help demo test quick check format lint types layers bench accuracy validate combinations axi mutants upsets fuzz prove vectors units area timing activity rtl bitstream torch-range docs setup preflight lock wheel clean distclean

help: ## list the tasks
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r n t; do printf '  make %-11s %s\n' "$$n" "$$t"; done

demo: setup ## set up, then run the shipped transformer on the edge256 accelerator in simulation
	$(BIN)/vitreous run fashion-vit --accelerator edge256 --images 16 --build-dir build/sim --out build/demo

test: setup ## set up, then run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

quick: setup ## run the tests that are not slow (under 90 seconds)
	$(BIN)/python -m pytest -n $(WORKERS) -m quick $(PYTEST_ARGS)

check: setup ## format, lint, types, import layers, tests: what CI runs
	@status=0; for part in lint types layers test; do $(MAKE) --no-print-directory $$part || status=1; done; exit $$status

format: setup ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: setup
	$(BIN)/ruff format --check --output-format concise .
	$(BIN)/ruff check .

types: setup
	$(BIN)/python -m mypy

layers: setup
	$(BIN)/lint-imports --no-logo

bench: setup ## measure utilization and simulation speed on one DeiT-Tiny layer
	$(BIN)/python -m benchmarks

# The 10,000 test images of Fashion-MNIST as gzip IDX files; without the folder the 512 that ship are judged.
FASHION ?=
accuracy: setup ## measure what quantization costs re-parameterized and heavy-tailed networks (an hour; what is done is kept)
	$(BIN)/python -m benchmarks.accuracy --json build/accuracy.json --page docs/results/accuracy.md \
		$(if $(FASHION),--fashion $(FASHION))

validate: setup ## compare the cycle model with RTL on programs, accelerators, bus widths and memory latencies
	$(BIN)/python -m benchmarks.validate --workers $(WORKERS) --page docs/results/validate.md

combinations: setup ## run a whole model on every combination of nonlinear variants, in simulation
	$(BIN)/python -m campaigns.combinations --workers $(WORKERS)

axi: setup ## run 66 programs between a memory and a host that do all that AXI allows (20 minutes in Icarus; docs/results/axi.md)
	$(BIN)/python -m campaigns.axi --workers $(WORKERS) --build-dir build/sim

mutants: setup ## break the RTL description in many places and count what the tests catch
	$(BIN)/python -m campaigns.mutants

fuzz: setup ## fuzzed programs through the RTL and the functional machine; resumes where it stopped
	$(BIN)/python -m campaigns.fuzz --report docs/results/fuzz.md

prove: setup ## prove the hardware units with SymbiYosys, and find a seeded bug with every proof (docs/proofs.md)
	@$(BIN)/python -m campaigns.formal

upsets: setup ## turn over single bits of a running machine and count what follows (minutes; what is done is kept)
	$(BIN)/python -m campaigns.upsets --workers $(WORKERS)

torch-range: setup ## run the tests of import and calibration with the oldest and the newest torch of pyproject.toml
	.ci/torch-range.sh $(VENV) build/torch $(PYTEST_ARGS)

docs: setup ## write docs/configuration.md, docs/operators.md and the JSON Schemas from the source
	$(BIN)/python -m vitreous.reference

units: setup ## measure the nonlinear units and write docs/units.md (an hour; what is done already is kept)
	$(BIN)/python -m vitreous.characterize.units --cache build/synthesis

# A standard-cell library for `make area`; without it the FPGA families alone are measured.
LIBERTY ?= /usr/share/qflow/tech/osu018/osu018_stdcells.lib
LIBERTY_NAME ?= osu018
area: setup ## measure the pieces of an accelerator with Yosys for reports/area (an hour; what is done already is kept)
	$(BIN)/python -m vitreous.area.sweep --cache build/synthesis --liberty $(LIBERTY) --name $(LIBERTY_NAME)

timing: setup ## estimate the clock of the presets by static timing analysis (an hour; what is done already is kept)
	$(BIN)/python -m vitreous.timing.sweep --cache build/synthesis --page docs/results/timing.md

activity: setup ## count toggles of the array, softmax and GELU on real and on random data (4 minutes; finished parts are kept)
	$(BIN)/python -m vitreous.characterize.activity

vectors: setup ## compare every arithmetic unit's RTL with golden: whole input spaces, or 10 million vectors each
	$(BIN)/python -m campaigns.vectors --report docs/results/vectors.md

rtl: setup ## write the Verilog of edge256 as a FuseSoC core to build/rtl
	$(BIN)/vitreous rtl --accelerator edge256 --out build/rtl

bitstream: setup ## place and route the array of edge64 for an LFE5U-85F, write its bitstream (half an hour; kept)
	$(BIN)/vitreous bitstream --accelerator edge64-ecp5 --memory 304 --cache build/place --out build/bitstream --page docs/results/bitstream.md

wheel: setup ## build the wheel into build/wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel .

setup: $(STAMP) ## make the virtual environment .venv (done by every task that needs it)

$(STAMP): requirements.lock pyproject.toml .ci/setup.sh | preflight
	@PYTHON="$(PYTHON)" .ci/setup.sh $(VENV) $(STAMP)

preflight: ## look for the tools that set-up cannot install
	@PYTHON="$(PYTHON)" .ci/preflight.sh >/dev/null

lock: ## resolve pyproject.toml again and write requirements.lock
	.ci/lock.sh

clean: ## remove what was built, keep the virtual environment
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove the virtual environment too
	rm -rf $(VENV)
