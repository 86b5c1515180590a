# Everything runs out of .venv, and `make install` writes nowhere else. `make cluster` keeps to .cluster.

PYTHON_IN_VENV := .venv/bin/python
REAL_SERVERS := WAYBILL_REQUIRE_ALL=1
SEEDS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help install demo test test-cluster simulate planted drill lint bench up cluster cluster-down

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## create .venv with Waybill and its tools in it (PYTHON=... chooses the interpreter)
	@deploy/make-venv

demo: install ## import one real trading day through all four workers and show what came of it
	@.venv/bin/waybill demo

test: install ## run all tests that need no cluster (ARGS="-k stock" chooses)
	@$(PYTHON_IN_VENV) -m pytest -n 2 -m "not cluster" $(ARGS)

test-cluster: install ## run the tests on a real Kafka, PostgreSQL and Redis; none may be skipped
	@$(REAL_SERVERS) $(PYTHON_IN_VENV) -m pytest -m cluster $(ARGS)

simulate: install ## run whole worlds with faults, one after the other, and check every law in each
	@$(PYTHON_IN_VENV) -m tests.simulation --seeds $(SEEDS) --orders 20

planted: install ## plant bugs in the product and see that the simulator finds every one
	@$(PYTHON_IN_VENV) -m tests.simulation.planted

drill: install ## kill, stop and restart every part of a real cluster under load, and count what was lost
	@$(PYTHON_IN_VENV) -m tests.drill

lint: install ## check style, formatting and types
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m mypy

bench: install ## measure orders per second against the floor and a peer
	@$(PYTHON_IN_VENV) -m tests.bench pipeline

up: install ## serve the API and the page until stopped with Ctrl-C
	@.venv/bin/waybill up

cluster: install ## start a whole cluster on this machine, without Docker, in .cluster
	@$(PYTHON_IN_VENV) -m deploy.local.cluster up

cluster-down: ## stop it
	@$(PYTHON_IN_VENV) -m deploy.local.cluster down
