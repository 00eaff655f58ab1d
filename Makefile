# `make start` and `make test` install what they need; `make help` lists the rest.

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

PORT ?= 4566
USERS ?= 10 100 250
LOAD_S ?= 20
LINTED_STAGES := dev staging prod
TEMPLATES := $(LINTED_STAGES:%=.package/%/cloudformation-template-update-stack.json)

.DEFAULT_GOAL := help
.PHONY: help install start test test-unit test-deployed picture lint format deploy remove smoke bench load

# These reach an AWS account, so the stage has to be given on the command line, not by the environment.
# `value` keeps make from running a $(shell …) in what is said, and without ' and $ the shell takes it as text.
ifneq ($(filter deploy remove smoke,$(MAKECMDGOALS)),)
ifneq ($(origin STAGE) $(words $(value STAGE)),command line 1)
$(error which stage? Say it as in: make $(firstword $(MAKECMDGOALS)) STAGE=dev)
endif
$(foreach name,STAGE PARAMS,$(if $(findstring ',$(value $(name)))$(findstring $$,$(value $(name))),\
  $(error $(name) may have neither ' nor $$ in it)))
endif
STAGE_OPTIONS = --stage '$(value STAGE)' $(patsubst %,'--param=%',$(value PARAMS))

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: .venv/.installed-start node_modules/.installed-start ## Install what the service, the command line and a deployment need

# Each target installs what it needs and is not there yet. Wheels only: a source distribution runs its code when installed.
export PIP_ONLY_BINARY := :all:
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.venv/.installed-start: requirements.txt requirements/start.txt pyproject.toml
	python3.13 -m venv .venv
	.venv/bin/pip install --quiet --require-hashes -r requirements/start.txt
	.venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	.venv/bin/pip download --quiet --no-deps --require-hashes -r requirements.txt --dest .venv/wheels
	@touch $@

.venv/.installed-test: .venv/.installed-start requirements/test.txt requirements/constraints.txt
	.venv/bin/pip install --quiet -r requirements/test.txt
	@touch $@

.venv/.installed-lint: .venv/.installed-test requirements/lint.txt
	.venv/bin/pip install --quiet -r requirements/lint.txt
	@touch $@

.venv-checkov/.installed: requirements/checkov.txt
	python3.13 -m venv .venv-checkov
	.venv-checkov/bin/pip install --quiet -r requirements/checkov.txt
	@touch $@

# No package here needs its install script.
NPM_CI := npm ci --ignore-scripts --no-audit --no-fund

node_modules/.installed-start: package.json package-lock.json
	$(NPM_CI) --omit=dev
	@touch $@

node_modules/.installed: package.json package-lock.json
	$(NPM_CI)
	@touch node_modules/.installed-start $@

start: install ## Run the whole service on this machine until Ctrl-C (PORT=4566)
	@exec python -m tools.local_cloud --port $(PORT)

# A process for each core, four at most: each of them may start a local cloud. What needs one begins first, as it takes
# longest, and a file of tests runs whole in one process, where its tests share a stack and a browser.
PYTEST := pytest --numprocesses logical --maxprocesses 4
DEPLOYED := --dist loadfile --no-loadscope-reorder tests/deployed

test: .venv/.installed-test node_modules/.installed ## Run every test
	node --test tests/unit/page/
	$(PYTEST) $(DEPLOYED) tests/unit --cov

test-unit: .venv/.installed-test node_modules/.installed-start ## Run the tests that need neither a deployment nor a browser
	node --test tests/unit/page/
	$(PYTEST) tests/unit --cov

test-deployed: .venv/.installed-test node_modules/.installed ## Run the tests on a local cloud and in a browser
	$(PYTEST) $(DEPLOYED)

picture: .venv/.installed-test node_modules/.installed ## Take the README's picture of the chart anew
	KEEP_PICTURE=1 REQUIRE_BROWSER=1 pytest tests/deployed/test_chart_page.py -k picture_of_it

# W3005: a redundant DependsOn, which the framework writes. W8003: a condition on a param has one outcome in each stage.
lint: .venv/.installed-lint .venv-checkov/.installed node_modules/.installed ## Check style, types and the packaged templates
	ruff check .
	ruff format --check .
	mypy
	tsc --project page
	for stage in $(LINTED_STAGES); do sls package --stage $$stage --package .package/$$stage || exit 1; done
	cfn-lint --ignore-checks W3005 W8003 --template $(TEMPLATES)
	.venv-checkov/bin/checkov --config-file requirements/checkov.yml --file $(TEMPLATES)

format: .venv/.installed-lint ## Rewrite the code in the project's style
	ruff check --fix .
	ruff format .

deploy: install ## Deploy a stage to an AWS account (STAGE=dev, PARAMS="auth=iam tlsOnly=true")
	sls deploy $(STAGE_OPTIONS)

remove: install ## Remove a stage with its counts, except what it retains (STAGE=dev)
	sls remove $(STAGE_OPTIONS)

smoke: install ## Check a deployed stage, changing nothing (STAGE=dev)
	python -m tools.smoke --stage '$(value STAGE)'

# With packages that the service and its tests have no use for.
.venv-bench/.installed: requirements.txt requirements/constraints.txt requirements/bench.txt
	python3.13 -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --no-deps --require-hashes -r requirements.txt
	.venv-bench/bin/pip install --quiet -r requirements/bench.txt
	@touch $@

bench: install .venv-bench/.installed ## Measure against the budgets (ARGS="--json", "--picture docs/growth.svg")
	@.venv-bench/bin/python -m tools.benchmarks $(ARGS)
	@.venv-bench/bin/python -m tools.benchmarks.conflicts

# The local cloud's addresses have a dollar sign in them.
load: .venv-bench/.installed ## Ask a deployed API as 10, 100, 250 users do (HOST=https://… USERS="10" LOAD_S=20)
	@[ '$(value HOST)' ] || { echo 'HOST=https://… says which API to ask'; exit 2; }
	@for users in $(USERS); do echo "$$users users, $(LOAD_S) s"; \
	  .venv-bench/bin/locust -f tools/benchmarks/load.py --headless --only-summary --loglevel WARNING --host '$(value HOST)' \
	    --users $$users --spawn-rate $$users --run-time $(LOAD_S)s || exit 1; done
