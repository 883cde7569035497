# Each target does all its own set-up: a virtual environment in .venv, made once and again when setup.cfg changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-oldest test-all test-public mutants soak lint clean

demo: $(VENV)/installed
	$(BIN)/zemosaic-twopass demo --fault gradient

# As many tests at a time as there are cores, and so one thread for the linear algebra of each. Whatever the shell says,
# bytecode is kept: without it every process that a test starts compiles the package anew. COVERAGE=1 says which lines no
# test runs, and fails below what setup.cfg asks for; before Python 3.14 that takes a third to two thirds more time.
test: export OMP_NUM_THREADS = 1
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=25 $(if $(COVERAGE),--cov)

# With the oldest dependencies that setup.cfg allows; QUICK=1 leaves out the slowest tests.
test-oldest: $(VENV)/installed
	$(BIN)/nox --session oldest $(if $(QUICK),-- -m "not soak and not slow and not public")

# With the newest and the oldest, on every Python from 3.10 to 3.13 that is found.
test-all: $(VENV)/installed
	$(BIN)/nox

# The contract on a real ZeMosaic, in an environment of its own: ZEMOSAIC is the folder of its zemosaic_worker.py.
test-public: $(VENV)/installed
	ZEMOSAIC="$(ZEMOSAIC)" $(BIN)/nox --session public

ifeq ($(filter test-public,$(MAKECMDGOALS)),test-public)
ifneq ($(shell test -f "$(ZEMOSAIC)/zemosaic_worker.py" && echo there),there)
$(error make test-public ZEMOSAIC=FOLDER: no zemosaic_worker.py in "$(ZEMOSAIC)")
endif
endif

# Do the tests notice when the code is changed? Hours; SAMPLE=20 for a look.
mutants: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	$(BIN)/python tests/mutants.py $(if $(SAMPLE),--sample $(SAMPLE))

soak: $(VENV)/installed
	$(BIN)/python -m pytest -m soak

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) .nox build dist *.egg-info

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@
