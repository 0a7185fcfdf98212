# `make reproduce` and `make test` set up everything they need in .venv; both may be run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKDIR ?= runs/reproduce
ARGS ?=

.PHONY: reproduce test check benchmark pins clean

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

# Resolves the direct dependencies in pyproject.toml into the pins of requirements.txt.
pins: $(STAMP)
	$(BIN)/pip-compile --quiet --upgrade --extra=experiments --extra=export --extra=dev --strip-extras \
	  --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --constraint=constraints.txt \
	  --output-file=requirements.txt pyproject.toml

# An interrupted installation leaves no stamp and is done again.
$(STAMP): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
