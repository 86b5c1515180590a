# Everything runs out of .venv, and `make install` writes nowhere else.

PYTHON_IN_VENV := .venv/bin/python
CODE := events services projections tests

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench up

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## create .venv with Waybill and its tools in it (PYTHON=... chooses the interpreter)
	@deploy/make-venv

demo: install ## import one real trading day through all four workers and show what came of it
	@.venv/bin/waybill demo

test: install ## run all tests (ARGS="-k stock" chooses)
	@$(PYTHON_IN_VENV) -m pytest -n 2 $(ARGS)

lint: install ## check style, formatting and types
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m mypy

bench: install ## measure orders per second against the floor and a peer
	@$(PYTHON_IN_VENV) -m tests.bench pipeline

up: install ## serve the API and the page until stopped with Ctrl-C
	@.venv/bin/waybill up
