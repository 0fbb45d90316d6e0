# The course's commands; `make help` lists them. Each works from a fresh clone.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help site serve lab check test bench lint clean browser octave

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo "Settings: PYTHON (python3), PORT (8000), PIP_EXTRA_INDEX_URL (the CPU index that PyTorch's"
	@echo "install page shows, for the small torch), POOLREF_REPOSITORY (the address on GitHub, for links)."

site: $(INSTALLED) ## Run every notebook and build the site
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo
	@echo "The site is in _build/html. Look at it with: make serve"

serve: site ## Build the site, then show it on this machine
	@echo "Open http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(INSTALLED) ## Open the notebooks in JupyterLab
	@$(BIN)/jupyter lab book --LabApp.app_settings_dir=$(CURDIR)/lab

check: $(INSTALLED) ## The tests for in between: those not marked slow, in under two minutes
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow" tests

test: $(INSTALLED) browser octave ## Run every test and every notebook
	$(BIN)/pytest -n 2 --dist worksteal

bench: $(INSTALLED) ## Measure poolref against its peers; writes _build/bench.json
	$(BIN)/python -m benchmarks

lint: $(INSTALLED) ## Check style: ruff, and notebooks stripped of outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/nbstripout --keep-id --verify book/*.ipynb

clean: ## Remove what was built (not .venv)
	rm -rf _build build dist .pytest_cache .ruff_cache .hypothesis *.egg-info

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"$(PYTHON) is {v}; 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r requirements.txt
	@touch $@

# The browser tests drive a Chromium of the system's.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get; then apt-get update && apt-get install --yes chromium; \
	else echo "No Chromium found: the browser tests will be skipped. Install chromium or google-chrome to run them."; fi

# A chapter's MATLAB code is run by Octave. Debian has its command line in no smaller package than this one.
octave:
	@command -v octave-cli || command -v octave || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get; then apt-get update && apt-get install --yes --no-install-recommends octave; \
	else echo "No Octave found: the test of the MATLAB code will be skipped. Install octave to run it."; fi
