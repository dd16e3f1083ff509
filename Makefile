# Everything a person does here, `make help` lists it. Needs python3 (3.11 or newer, with venv and pip) and make; the rest is installed
# into .venv/ beside this file the first time.

PYTHON ?= python3
PACE ?= 0.05
PYTEST_ARGS ?=
TOGETHER ?= -n 2 --dist loadfile
VENV := .venv
PY := $(VENV)/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
PYTEST := $(PY) -m pytest
LOWER := .venv-lower
PROTO := .venv-proto

QUICK := not slow and not notebook and not soak
REST := (slow or notebook) and not soak

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-rest lower-bounds lab check format proto soak bench clean
.DELETE_ON_ERROR:

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/test.ok  ## five nodes, SETs and GETs, the leader is killed, its lease is waited for (PACE=1 for real seconds)
	$(VENV)/bin/raftedu demo --pace $(PACE)

test: $(VENV)/test.ok  ## the tests that take minutes, not hours
	$(PYTEST) $(TOGETHER) -m "$(QUICK)" $(PYTEST_ARGS)

test-all: $(VENV)/test.ok  ## every test but the soak
	$(PYTEST) $(TOGETHER) -m "not soak" $(PYTEST_ARGS)

test-rest: $(VENV)/test.ok  ## what `make test-all` runs and `make test` does not
	$(PYTEST) $(TOGETHER) -m "$(REST)" $(PYTEST_ARGS)

lower-bounds: $(LOWER)/test.ok  ## the oldest versions that pyproject.toml allows still work
	$(LOWER)/bin/python -m pytest -m "$(QUICK)" tests/unit $(PYTEST_ARGS)
	@if [ -e tests/live/test_cluster.py ]; then set -x; $(LOWER)/bin/python -m pytest tests/live/test_cluster.py -k smoke $(PYTEST_ARGS); fi

lab: $(VENV)/lab.ok  ## open the notebooks
	$(PY) -m jupyterlab notebooks

check: $(VENV)/dev.ok  ## lint, format, docstrings, types; changes nothing
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/dev.ok  ## lay the code out as `make check` wants it
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

proto: $(PROTO)/ok  ## write raftedu/live/proto/ anew from node.proto
	$(PROTO)/bin/python tools/make_proto.py

soak: $(VENV)/test.ok  ## the tests that run for many minutes
	$(PYTEST) -m soak $(PYTEST_ARGS)

bench: $(VENV)/test.ok  ## the figures of bench/README.md
	$(PY) -m bench

clean:  ## remove what the targets above have made; runs and their logs stay
	rm -rf $(VENV) $(LOWER) $(PROTO) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One file marks each finished installation. A change of what is installed makes it anew, and so does a Python that has gone:
# a rule without a recipe counts as remade when its file is missing. Another PYTHON than last time: `make clean` first.
$(VENV)/bin/python $(LOWER)/bin/python $(PROTO)/bin/python: ;

$(VENV)/test.ok: pyproject.toml $(VENV)/bin/python
	@sh tools/make_venv.sh "$(PYTHON)" $(VENV)
	@echo "raftedu: installing into $(VENV)/ (once; a minute or two)"
	@$(PY) $(PIP) -e '.[test]'
	@touch $@

$(VENV)/lab.ok: $(VENV)/test.ok
	@$(PY) $(PIP) -e '.[lab]'
	@touch $@

$(VENV)/dev.ok: $(VENV)/test.ok
	@$(PY) $(PIP) -e '.[dev]'
	@touch $@

$(LOWER)/test.ok: pyproject.toml tools/lower_bounds.py $(LOWER)/bin/python
	@sh tools/make_venv.sh "$(PYTHON)" $(LOWER)
	@echo "raftedu: installing the oldest versions into $(LOWER)/"
	@$(LOWER)/bin/python tools/lower_bounds.py > $(LOWER)/constraints.txt
	@$(LOWER)/bin/python $(PIP) -c $(LOWER)/constraints.txt -e '.[test]'
	@touch $@

$(PROTO)/ok: tools/make_proto.py $(PROTO)/bin/python
	@sh tools/make_venv.sh "$(PYTHON)" $(PROTO)
	@$(PROTO)/bin/python $(PIP) "grpcio-tools==$$($(PROTO)/bin/python tools/make_proto.py --generator)"
	@touch $@
