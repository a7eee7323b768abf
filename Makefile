# `make demo` and `make test` do all set-up on a fresh machine and then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PRODUCT := $(VENV)/.product

.PHONY: demo test test-slow lint docs clean

demo: $(PRODUCT)
	$(BIN)/sudare compare --preset demo --out runs/demo
	$(BIN)/sudare sweep smoothing --per-class 10 --recommend --out runs/demo-inversion

# One process a core with one thread each: threads of several processes fight over the cores. A
# file's tests stay in one process, so that a run they share is made once.
test: $(STAMP) browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile

test-slow: $(STAMP) browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs benchmarks README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# Debian's Chromium, for the tests that open the reports; nothing where one is there.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || { apt-get update -qq && apt-get install -y -qq chromium; } \
	  || { sudo -n apt-get update -qq && sudo -n apt-get install -y -qq chromium; } \
	  || echo "chromium is missing and could not be installed; browser tests will fail"

# What a user has; the tests, the linters and the docs want more.
$(PRODUCT): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[features]'
	touch $(PRODUCT)

$(STAMP): $(PRODUCT)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,docs,features]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) docs/_build
