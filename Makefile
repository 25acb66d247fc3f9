# Everything that a newcomer or a build machine needs; each target sets up what it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: run test check format bench models clean

run: $(STAMP)
	$(BIN)/digitscan process samples --fresh --out outputs/results.csv --out outputs/results.json --annotate outputs/pages
	$(BIN)/digitscan process samples/line --fresh --layout line --out outputs/line.csv --annotate outputs/line
	$(BIN)/digitscan process samples/forms/filled --form samples/forms/clinic.toml --form samples/forms/delivery.toml \
	  --form samples/forms/meter.toml --form us-cheque --fresh --wide --out outputs/forms.csv --annotate outputs/forms
	$(BIN)/digitscan predict samples/digit/eight.png
	@echo "See outputs/results.csv, outputs/results.json and the pictures in outputs/pages."

test: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint deploy/Dockerfile

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/accuracy.py

clean:
	rm -rf $(VENV) outputs/pages outputs/line outputs/forms outputs/*.csv outputs/*.json outputs/*.job*

# Debian splits ensurepip off python3: where it is missing, virtualenv from the package index takes its place.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(PYTHON) -m pip install --user --quiet virtualenv && \
	  $(PYTHON) -m virtualenv --quiet $(VENV); } || { rm -rf $(VENV); \
	  $(PYTHON) -m pip install --user --quiet --break-system-packages virtualenv && $(PYTHON) -m virtualenv --quiet $(VENV); }
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $(STAMP)
