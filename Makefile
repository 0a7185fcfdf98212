# `make reproduce` and `make test` set up everything they need in .venv; both may be run again.
# Another interpreter gets an environment of its own: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RELEASE_VENV ?= .venv-release
RELEASE_BIN := $(RELEASE_VENV)/bin
RELEASE_STAMP := $(RELEASE_VENV)/.installed
WORKDIR ?= runs/reproduce
ARGS ?=

.PHONY: reproduce test check benchmark pins site release-check clean

# Minutes; ARGS=--preset=paper takes the sizes of the paper, about an hour. WORKDIR keeps them apart.
reproduce: $(STAMP)
	$(BIN)/python -m experiments.reproduce --workdir=$(WORKDIR) $(ARGS)

# Format, lint, types, then the tests.
test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Delay of one decision, policy by policy; leaves runs/inference_delay/results/table1.md with figures.
# `ARGS="--duration=0.1 --protocols=paper,single_stream"` for a short run; run again to go on where it stopped.
benchmark: $(STAMP)
	$(BIN)/python -m benchmarks.delay --checkpoints=$(WORKDIR)/checkpoints $(ARGS)

# The pages, in runs/site; by Zensical, which Material for MkDocs would build the same. The Explorer
# among them is then tried in Chromium, if that is installed.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
explorer = $(BIN)/python -m experiments.explorer --output=runs/$(1)/explorer/module.js \
  --compiler="$(RELEASE_BIN)/python -m ziglang cc --target=wasm32-freestanding"
try_explorer = $(if $(CHROMIUM),CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest "tests/release/explorer.py::test_explorer[$(1)]",\
  @echo "Chromium is not installed: the Explorer in runs/$(1) was built but not tried.")
site: $(STAMP) $(RELEASE_STAMP)
	$(RELEASE_BIN)/zensical build --clean --strict
	$(call explorer,site)
	$(call try_explorer,site)

# What a release must pass besides the tests; minutes. Tests that are too slow for `make test` are
# named here.
SLOW_TESTS := tests/chains/every_length.py tests/chains/period_campaign.py \
  tests/envs/episodes_campaign.py tests/graphs/cut_campaign.py tests/graphs/goals_campaign.py \
  tests/graphs/never_worse.py tests/graphs/stream_campaign.py tests/graphs/users_campaign.py \
  tests/models/split_campaign.py tests/plans/plan_campaign.py \
  tests/release/several_devices.py tests/release/interrupts.py
release-check: $(STAMP) $(RELEASE_STAMP) site
	$(RELEASE_BIN)/mkdocs build --quiet --strict --site-dir runs/site-material
	$(call explorer,site-material)
	$(call try_explorer,site-material)
	$(RELEASE_BIN)/validate-pyproject pyproject.toml
	rm -rf dist
	$(RELEASE_BIN)/python -m build --outdir dist .
	$(RELEASE_BIN)/twine check --strict dist/*
	$(RELEASE_BIN)/check-wheel-contents dist
	$(BIN)/python -m pytest tests/release/site.py tests/release/source_archive.py tests/release/installed.py
	PYTHONPATH=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") \
	  $(RELEASE_BIN)/python -m pytest tests/release/dask_cluster.py
	$(BIN)/python -m pytest -n 2 --dist worksteal $(SLOW_TESTS)
	EXPORT_REQUESTS=100000 $(BIN)/python -m pytest tests/export tests/export/sanitizers.py

# Resolves the direct dependencies in pyproject.toml into the pins of requirements*.txt, for every
# Python from 3.11.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header
pins: $(STAMP)
	$(COMPILE) --constraint constraints.txt --extra experiments --extra export --extra gym --group dev \
	  --output-file requirements.txt pyproject.toml
	$(COMPILE) --group release --output-file requirements-release.txt

# An interrupted installation leaves no stamp and is done again.
$(STAMP): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(RELEASE_STAMP): requirements-release.txt
	test -x $(RELEASE_BIN)/python || $(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(RELEASE_VENV) build dist *.egg-info
