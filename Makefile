# `make start` and `make test` install what they need; `make help` lists the rest.

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

PORT ?= 4566
USERS ?= 10 100 250
LOAD_S ?= 20
LINTED_STAGES := dev staging prod
TEMPLATES := $(LINTED_STAGES:%=.package/%/cloudformation-template-update-stack.json)

.DEFAULT_GOAL := help
.PHONY: help install start test picture lint format deploy remove smoke bench load

# These reach an AWS account. The stage is said each time: one that the environment happens to have does not count.
ifneq ($(filter deploy remove smoke,$(MAKECMDGOALS)),)
ifneq ($(origin STAGE) $(words $(STAGE)),command line 1)
$(error which stage? Say it as in: make $(firstword $(MAKECMDGOALS)) STAGE=dev)
endif
endif
STAGE_OPTIONS = --stage '$(STAGE)' $(patsubst %,'--param=%',$(PARAMS))

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/.installed node_modules/.installed ## Install what is missing

.venv/.installed: requirements.txt $(wildcard requirements/*.txt) pyproject.toml
	python3.13 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r requirements/lint.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	.venv/bin/pip download --quiet --disable-pip-version-check --no-deps -r requirements.txt --dest .venv/wheels
	@touch $@

.venv-checkov/.installed: requirements/checkov.txt
	python3.13 -m venv .venv-checkov
	.venv-checkov/bin/pip install --quiet --disable-pip-version-check -r requirements/checkov.txt
	@touch $@

# No package here needs its install script.
node_modules/.installed: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

start: install ## Run the whole service on this machine until Ctrl-C (PORT=4566)
	@exec python -m tools.local_cloud --port $(PORT)

test: install ## Run every test, those on a local cloud included
	pytest

picture: install ## Take the README's picture of the chart anew
	KEEP_PICTURE=1 REQUIRE_BROWSER=1 pytest tests/deployed/test_chart_page.py -k picture_of_it

# W3005: a redundant DependsOn, which the framework writes. W8003: a condition on a param has one outcome in each stage.
lint: install .venv-checkov/.installed ## Check style, types and the packaged templates
	ruff check .
	ruff format --check .
	mypy
	for stage in $(LINTED_STAGES); do sls package --stage $$stage --package .package/$$stage || exit 1; done
	cfn-lint --ignore-checks W3005 W8003 --template $(TEMPLATES)
	.venv-checkov/bin/checkov --config-file requirements/checkov.yml --file $(TEMPLATES)

format: install ## Rewrite the code in the project's style
	ruff check --fix .
	ruff format .

deploy: install ## Deploy a stage to an AWS account (STAGE=dev, PARAMS="auth=iam tlsOnly=true")
	sls deploy $(STAGE_OPTIONS)

remove: install ## Remove a stage with its counts, but for what it retains (STAGE=dev)
	sls remove $(STAGE_OPTIONS)

smoke: install ## Check a deployed stage, changing nothing (STAGE=dev)
	python -m tools.smoke --stage '$(STAGE)'

# With packages that the service and its tests have no use for.
.venv-bench/.installed: requirements.txt requirements/constraints.txt requirements/bench.txt
	python3.13 -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements/bench.txt
	@touch $@

bench: install .venv-bench/.installed ## Measure against the budgets (ARGS="--json", "--picture docs/growth.svg")
	@.venv-bench/bin/python -m tools.benchmarks $(ARGS)

# The local cloud's addresses have a dollar sign in them.
load: .venv-bench/.installed ## Ask a deployed API as 10, 100, 250 users do (HOST=https://… USERS="10" LOAD_S=20)
	@[ '$(value HOST)' ] || { echo 'HOST=https://… says which API to ask'; exit 2; }
	@for users in $(USERS); do echo "$$users users, $(LOAD_S) s"; \
	  .venv-bench/bin/locust -f tools/benchmarks/load.py --headless --only-summary --loglevel WARNING --host '$(value HOST)' \
	    --users $$users --spawn-rate $$users --run-time $(LOAD_S)s || exit 1; done
