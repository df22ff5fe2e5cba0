# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test lint peers clean

demo: $(STAMP)
	$(BIN)/anchorstream demo --out runs/demo

# A process for each core, of which each starts torch once: more than four would cost memory rather than save time.
# A process that has nothing left takes tests of another one; the tests of a file stay together until then.
test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What benchmarks/peers compares with. silero-vad asks for packages that its ONNX file does not need.
peers: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[peers]'
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps silero-vad

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
