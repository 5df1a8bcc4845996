# The verbs of the house. A fresh machine needs Python 3.11+ and make; the rest comes from requirements.lock.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: rehearse test test-slow check install lock clean

rehearse: $(READY)  ## run a whole month on this machine and show the result
	$(RUN)/muster rehearse --seed 1

test: $(READY)  ## pass the tests, on two processors
	$(RUN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

test-slow: $(READY)  ## the tests that take minutes: a month that passes by itself and is killed half-way, three campaigns at once
	$(RUN)/python -m pytest -m minutes tests/deployments

check: $(READY)  ## lint, types, import contracts
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

install: $(READY)  ## set up .venv and nothing else, as on a server

lock: $(READY)  ## renew requirements.lock from pyproject.toml
	$(RUN)/uv pip compile --universal --generate-hashes --no-annotate --no-header --upgrade --extra dev --python-version 3.11 \
		pyproject.toml -o requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Muster needs Python 3.11 or newer; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info var rehearsals
