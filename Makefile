# make check  the fast loop, a minute: lint, types, and the tests that need neither a process nor a socket; their
#             properties are tried a tenth as often
# make test   every check, seven to nine minutes on two cores; says what took longest, what was skipped and why
# make bench  figures: start-up against bare programs, one connection, the simulated gateway
# make demo   a whole simulated trading day
# make crash  a kill at every message and every commit however orders fill, each message withheld: an hour
# make lock   requirements.lock anew from pyproject.toml: newest versions in its ranges, with hashes (network)
# make audit  known vulnerabilities of what the lock names; says so where no database can be reached
# make chaos  bad days until Ctrl-C; SEED=17 DAYS=1 repeats one
# make fuzz   ten minutes of a gateway that lies; MINUTES=1, and SEED=17 repeats one command
# PYTHON=python3.12 picks an interpreter; without it the first fitting one is taken, of those in one piece if there are.
SHELL := /bin/bash
VENV := .venv
$(if $(filter-out 1,$(words $(VENV))),$(error VENV is one folder, without blanks in its name, not "$(VENV)"))
BIN := $(VENV)/bin
# Stands in a virtual environment that make made. Another is used if its Python fits, and never removed.
MADE := $(VENV)/made-by-make
FITS := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
# An interpreter that lies in a library of its own (libpython*.so) is a fifth slower than one that is its program's.
WHOLE := import sys; sys.exit(any("libpython" in line for line in open("/proc/self/maps")))
NAMES := python3.13 python3.12 python3.11 python3.14 python3 python
ifndef PYTHON
PYTHON = $(eval PYTHON := $(shell first=; for p in $$(type -aP $(NAMES)); do \
	$$p -c '$(FITS)' >/dev/null 2>&1 || continue; first=$${first:-$$p}; \
	$$p -c '$(WHOLE)' >/dev/null 2>&1 && { first=$$p; break; }; done; echo $$first))$(PYTHON)
endif

SEED ?=
DAYS ?= 0
MINUTES ?= 10
# The tests start thousands of processes: none of them compiles again what the first one has.
unexport PYTHONDONTWRITEBYTECODE

NO_NOISE := -q --disable-pip-version-check --no-compile
PIP_INSTALL := $(BIN)/python -m pip install $(NO_NOISE)
UV := .venv-uv/bin/uv
UV_THERE := --only-binary uv --target .venv-uv 'uv>=0.5,<1'
GET_UV := $(PIP_INSTALL) $(UV_THERE)

# Large libraries of which the tests use little, if any: what is used of them is compiled then.
SELDOM := mypy|mypyc|numpy|pip|pkg_resources|setuptools|countries|lexers

.PHONY: setup demo check quick test tests compiled clients other-clients lint lock audit bench crash chaos fuzz clean
setup: $(VENV)/ready

# With uv, which installs in a tenth of pip's time. Where it is not to be had, or pip is told of another index (uv does
# not read that), pip installs: a newer one than Python 3.11 brings, which takes twice as long to choose what fits.
# The pip that Python brings for a new environment takes longest to be put there: uv does that too, where the
# interpreter has a pip of its own to get uv with.
$(VENV)/there: pyproject.toml
	@test -n "$(PYTHON)" || { echo "spxarb needs Python 3.11-3.14 with venv and pip: none found (try: make PYTHON=/path/to/python3.12)" >&2; exit 1; }
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "spxarb needs Python 3.11-3.14 with venv and pip: $(PYTHON) does not fit" >&2; exit 1; }
	@if [ -e $(VENV) -o -L $(VENV) ] && [ ! -e $(MADE) ]; then \
		$(BIN)/python -c '$(FITS)' 2>/dev/null || { echo "$(VENV) was not made by make, and its Python does not fit (3.11-3.14): it stays. Move it away, or name another folder: make VENV=.venv-spxarb" >&2; exit 1; }; \
		echo "setting up in the $(VENV) that is there, with $$($(BIN)/python -V)"; \
	else \
		echo "setting up $(VENV) with $$($(PYTHON) -V)"; \
		rm -rf $(VENV) && mkdir -p $(VENV) && touch $(MADE) && $(PYTHON) -m venv $(VENV) --without-pip || exit; \
	fi
	@pip="$(BIN)/python -m pip"; told="$$($$pip config list 2>/dev/null)" || \
		{ pip="$(PYTHON) -m pip"; told="$$($$pip config list 2>/dev/null)"; } || \
		{ $(BIN)/python -m ensurepip >/dev/null && pip="$(BIN)/python -m pip" && told="$$($$pip config list)"; } || exit; \
	case "$$told" in \
		*.index-url=*|*.no-index=*) rm -rf .venv-uv;; \
		*) test -x $(UV) || PIP_ROOT_USER_ACTION=ignore $$pip install $(NO_NOISE) $(UV_THERE) 2>/dev/null || true;; \
	esac
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { test -x $(UV) && $(UV) pip install -q --python $(BIN)/python pip; } || \
		$(BIN)/python -m ensurepip >/dev/null
	@test -x $(UV) || [ ! -e $(MADE) ] || $(PIP_INSTALL) 'pip>=25' || true
	@touch $@

$(VENV)/ready: $(VENV)/there
	@{ test -x $(UV) && $(UV) pip install -q --python $(BIN)/python -e '.[dev]'; } || $(PIP_INSTALL) -e '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 -x '/($(SELDOM))/' spxarb "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
	@touch $@

demo: setup
	@$(BIN)/spxarb demo

check: setup
	@$(MAKE) -s -j 2 lint quick

quick: setup
	@$(BIN)/python -m pytest -n 2 -m "not outside" --hypothesis-profile=check tests

test:
	@$(MAKE) -s -j 3 setup other-clients compiled
	@$(MAKE) -s -j 2 lint tests

# While the first process imports the tests and what they need, and compiles it, the types are checked beside it.
tests: setup
	@files=$$($(BIN)/python tests/memory.py); trap 'rm -rf "$$files"' EXIT; \
	$(BIN)/python -m pytest -n 10 --dist worksteal -rs --durations=10 $${files:+--basetemp="$$files/run"} tests || \
		{ code=$$?; [ -z "$$files" -o $$code != 1 ] || { trap - EXIT; echo "what the failed tests wrote: $$files"; }; exit $$code; }

# While the environment is made, which takes one core.
compiled:
	@$(PYTHON) -m compileall -qq spxarb 2>/dev/null || true

other-clients: $(VENV)/there
	@$(MAKE) -s clients || echo "make test: goes on without these clients; their conversations are skipped" >&2

clients: $(VENV)/there
	@$(BIN)/python tests/scenarios/conversation/environments.py

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.lock --check

# Tools of their own, in environments of their own: nothing of spxarb needs them.
lock: setup
	@test -x $(UV) || $(GET_UV)
	@$(BIN)/python -m tools.lock --uv $(UV)

audit: setup
	@test -x .venv-audit/bin/pip-audit || { $(BIN)/python -m venv .venv-audit && .venv-audit/bin/python -m pip install -q --disable-pip-version-check 'pip-audit>=2.7,<3'; }
	@$(BIN)/python -m tools.audit .venv-audit/bin/pip-audit

bench: setup
	@$(BIN)/python -m pytest benchmarks -o addopts= -q

crash: setup
	@SPXARB_CRASH_STRIDE=1 SPXARB_WITHHELD_STRIDE=1 $(BIN)/python -m pytest -n 6 --dist worksteal -rP \
		tests/scenarios/test_crash.py tests/scenarios/test_withheld.py

chaos: setup
	@$(BIN)/python tests/scenarios/chaos.py $(if $(SEED),--seed $(SEED)) --days $(DAYS)

fuzz: setup
	@$(BIN)/python tests/scenarios/hostile.py $(if $(SEED),--seed $(SEED)) --minutes $(MINUTES)

clean:
	@if [ -e $(MADE) ]; then rm -rf $(VENV); elif [ -e $(VENV) ]; then echo "$(VENV) was not made by make: it stays"; fi
	rm -rf .venv-uv .venv-audit .venv-ib_async .venv-ibapi .venv-ibapi-2020 .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
