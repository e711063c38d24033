# setup, demo, test, check: all a newcomer needs. PYTHON may name another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
QUIETLY := --quiet --disable-pip-version-check

.PHONY: setup demo test check slow postgresql browser docs lock clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

# A pip in the environment says that `venv` came to its end; an interrupted installation has no stamp.
$(STAMP): requirements.lock setup.py
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or later is needed, this is %s: name another one by make PYTHON=..." % sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time takes a few minutes."
	@$(BIN)/python -m pip install $(QUIETLY) --requirement requirements.lock
	@$(BIN)/python -m pip install $(QUIETLY) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/matlab-ros demo

# A whole lab of processes keeps all processors busy by itself; the other tests run two at a time.
test: setup
	$(BIN)/python -m pytest -m "not slow and not system" -n 2 --dist worksteal
	$(BIN)/python -m pytest -m "system and not slow"

slow: setup
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy matlab_ros/model matlab_ros/lab matlab_ros/planning matlab_ros/xrd matlab_ros/chemistry \
		matlab_ros/monitor

# Tests on PostgreSQL start a server of their own from these programs; without them they are skipped.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
		{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends postgresql; }

# torch brings its own CUDA packages where its build wants them: they are not pinned here, so that a
# CPU build stays one.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Tests of the page drive a real browser; without one they are skipped.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium; }

lock: setup
	$(BIN)/python -m pip install $(QUIETLY) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links requirements.in --output-file requirements.lock
	sed -i -E '/^(nvidia-|cuda-|triton)/d' requirements.lock

clean:
	rm -rf $(VENV) results build install log .pytest_cache .mypy_cache .ruff_cache
