# Everything a developer does with this project; `make` alone prints this list.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -eu -c

VENV := .venv
# Empty: the one that scripts/choose_python.py prints.
PYTHON ?=
BIN := $(VENV)/bin
SERVICES := userfc productfc orderfc paymentfc
DEPLOYED := $(SERVICES) console
PACKAGES := chassis $(DEPLOYED)
SOURCES := $(foreach package,$(PACKAGES),$(package)/$(package)) scripts/choose_python.py scripts/get_helm.py scripts/fc scripts/servers scripts/testkit scripts/xendit_sim scripts/contracts scripts/mutants scripts/openapi scripts/telemetry scripts/lint scripts/bench scripts/delivery scripts/observability
TESTS := $(foreach package,$(PACKAGES) scripts,$(package)/tests) tests
INSTALLED := $(VENV)/.installed
HELM := $(VENV)/helm/.installed
VNU := $(VENV)/vnu/node_modules/vnu-jar/build/dist/vnu.jar
# The tools of a release have an environment of their own: no test needs them.
DELIVERY := $(VENV)/delivery
ACTIONLINT := v1.7.12

.PHONY: help bench profile growth setup tools tools-helm tools-html tools-prometheus observe require-tools check helm-check test test-containers test-compose test-kind test-observe faults mutants museum screenshots console-figures chaos soak siege measure format up down status logs seed topics doctor demo lock protos lint-workflows sbom release-check release-notes clean

help: ## Print this list
	@printf 'Go Commerce in Python\n\n'
	awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## Make the virtual environment and install all that is needed (the other targets do it too)

$(INSTALLED): requirements-dev.txt console/package-lock.json $(foreach package,$(PACKAGES) scripts,$(package)/pyproject.toml)
	@echo 'Setting up $(VENV) (only the first time, and when requirements change) ...'
	# pip is the last thing that venv makes: an environment whose making was interrupted has a python and no pip.
	if [ ! -x $(BIN)/pip ]; then
	  python='$(PYTHON)'
	  test -n "$$python" || python=$$(python3 scripts/choose_python.py)
	  "$$python" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	  "$$python" -m venv $(VENV)
	fi
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation $(foreach package,$(PACKAGES) scripts,-e $(package))
	# The scripts of the console's pages, which read and work without them.
	if ! command -v npm >/dev/null; then
	  echo 'Node is not installed: the pages of the console will not change by themselves, but when they are loaded again.'
	else
	  console/assets.sh || echo 'npm did not get the scripts of the console: its pages change when they are loaded again.'
	fi
	touch $@

# The pay page is tested in a real browser, invoices are read by poppler, and faketime gives a process a wrong clock.
MISSING = $(strip $(shell command -v chromium >/dev/null || command -v chromium-browser >/dev/null || echo chromium; \
  command -v pdftotext >/dev/null || echo poppler-utils; command -v faketime >/dev/null || echo faketime))

# The load of `make bench`; no test needs it.
LOAD = $(shell command -v wrk >/dev/null || echo wrk)

tools: ## Install the system packages that the tests and make bench need, by apt (as root)
	@missing='$(strip $(MISSING) $(LOAD))'
	if [ -z "$$missing" ]; then
	  echo 'All tools of the tests and of make bench are installed.'
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	  echo "Installing $$missing ..."
	  apt-get update -qq >/dev/null
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null 2>&1
	else
	  echo "Not installed: $$missing. Run as root: apt-get install $$missing"
	  exit 1
	fi

tools-helm: $(HELM) ## Get helm and the schemas of Kubernetes for the tests of the chart (make test does it too)

$(HELM): scripts/get_helm.py deploy/helm/tools.txt | $(INSTALLED)
	@echo 'Getting helm (only the first time) ...'
	$(BIN)/python scripts/get_helm.py
	touch $@

tools-prometheus: $(INSTALLED) ## Get Prometheus and promtool for the tests of the alerts (make test does it too)
	@$(BIN)/python -m servers.prometheus >/dev/null

tools-html: $(VNU) ## Get the Nu HTML checker for the tests of the console (make test does it too)

$(VNU): tests/console/vnu/package-lock.json | $(INSTALLED)
	@echo 'Getting the HTML checker (only the first time) ...'
	mkdir -p $(VENV)/vnu
	cp tests/console/vnu/package.json tests/console/vnu/package-lock.json tests/console/vnu/.npmrc $(VENV)/vnu
	cd $(VENV)/vnu && npm ci --ignore-scripts --silent
	touch node_modules/vnu-jar/build/dist/vnu.jar

observe: $(INSTALLED) ## Build the log store and the collector of `fc up --observe` by Go, once (minutes)
	@$(BIN)/python -m servers.observe

require-tools:
	@if [ -n '$(MISSING)' ]; then
	  echo 'The tests need these system packages, which are not installed: $(MISSING). Install them with: make tools'
	  exit 1
	fi

check: $(INSTALLED) ## Lint, format, types, layers, generated files, the project's own rules
	@echo '-- ruff'
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	echo '-- mypy'
	$(BIN)/mypy $(SOURCES)
	for folder in $(TESTS); do $(BIN)/mypy $$folder; done
	echo '-- layers'
	$(BIN)/lint-imports --no-logo >.import_linter.log 2>&1 || { cat .import_linter.log; exit 1; }
	tail -n 1 .import_linter.log
	echo '-- event contract'
	$(BIN)/python -m contracts check
	$(BIN)/python -m openapi check
	$(BIN)/python -m telemetry check
	$(BIN)/python -m observability check
	echo '-- source code'
	$(BIN)/python -m lint

helm-check: $(INSTALLED) $(HELM) ## Check the Helm chart: lint, schemas of Kubernetes, rules, settings (no cluster, no servers)
	@$(BIN)/pytest -n0 tests/helm $(ARGS)

test: require-tools check $(HELM) $(VNU) tools-prometheus ## Run all checks, then every test that needs no Docker, on real servers
	@$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

test-containers: $(INSTALLED) require-tools ## Run the integration tests against servers in containers (needs a Docker engine)
	@TEST_CONTAINERS=1 $(BIN)/pytest -n 2 --dist loadscope $(wildcard $(foreach package,$(PACKAGES),$(package)/tests/integration)) $(ARGS)

test-compose: $(INSTALLED) ## Test the whole platform in containers, 15 minutes at most (needs a Docker engine; RECORD=1 writes the page)
	@docker version >/dev/null 2>&1 || { echo 'make test-compose needs a Docker engine, and none answers.'; exit 1; }
	# What is missing is fetched and built first: the time counts from there.
	docker compose pull --quiet --ignore-buildable --policy missing
	docker compose --profile audit build --quiet
	TEST_COMPOSE=1 COMPOSE_RECORD=$(if $(RECORD),docs/evidence/compose.md) $(BIN)/pytest -n0 --session-timeout 900 tests/compose $(ARGS)

test-kind: $(INSTALLED) ## Install, upgrade and roll back the chart in the cluster of kubectl's context, under orders (needs the images in it)
	@kubectl cluster-info >/dev/null 2>&1 || { echo 'make test-kind needs kubectl and a cluster, and none answers: docs/deploying.md.'; exit 1; }
	TEST_KIND=1 $(BIN)/pytest -n0 --timeout 1500 tests/kind $(ARGS)

test-observe: observe require-tools ## Run the pipeline of log lines for real (make test does it too where it is built)
	@$(BIN)/pytest -n0 tests/observe $(ARGS)

faults: $(INSTALLED) require-tools ## Every case of every fault, and restarts under 1,000 orders (make test leaves the long ones out)
	@FAULTS=all ORDERS=1000 $(BIN)/pytest tests/chaos tests/brokers tests/console/test_waits.py $(ARGS)

mutants: $(INSTALLED) ## Plant faults in a copy of the project, one at a time, and see each caught by its test
	@$(BIN)/python -m mutants $(ARGS)

museum: $(INSTALLED) ## Show defect EXHIBIT (1 to 12) of the Go original, or of a port, on a throw-away stack, and what the audit says
	@$(BIN)/python -m mutants.museum $(EXHIBIT)

screenshots: $(INSTALLED) require-tools ## Take the pictures of docs/console on a stack of its own (ARGS="login order-dark" for some)
	@$(BIN)/python -m tests.console.screenshots $(ARGS)

console-figures: $(INSTALLED) require-tools ## Measure the times of the console on a stack of its own (a minute)
	@$(BIN)/python -m tests.console.measure

chaos: $(INSTALLED) ## Faults drawn from SEED (COUNT seeds, at most MINUTES) under a load of orders, then the audit
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --count $(or $(COUNT),1) --minutes $(or $(MINUTES),60)

soak: $(INSTALLED) ## The same for MINUTES (30), seed after seed
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1000) --count 1000000 --minutes $(or $(MINUTES),30)

siege: $(INSTALLED) ## Hostile clients for MINUTES (10) while customers order, on a stack of its own; bounds, then the audit
	@$(BIN)/python -m bench.siege --minutes $(or $(MINUTES),10) $(ARGS)

bench: $(INSTALLED) ## Measure each hot path beside the same work without a service, 25 minutes at most (QUICK=1: 4; ONLY=row,row; COMPARE=commit)
	@if [ -n '$(LOAD)' ]; then echo 'make bench needs wrk, which is not installed. Install it with: make tools'; exit 1; fi
	$(BIN)/python -m bench.speed run --pace $(if $(QUICK),quick,$(or $(PACE),full)) --only '$(ONLY)' --compare '$(COMPARE)' $(ARGS)

profile: $(INSTALLED) ## Run the load of ROW (checkout), and show where its service spends the time
	@if [ -n '$(LOAD)' ]; then echo 'make profile needs wrk, which is not installed. Install it with: make tools'; exit 1; fi
	$(BIN)/python -m bench.speed.profile $(or $(ROW),checkout) $(ARGS)

growth: $(INSTALLED) ## Fill databases with millions of rows, and compare the time of each statement with a nearly empty one
	@$(BIN)/python -m bench.growth $(ARGS)

measure: $(INSTALLED) ## Print measures of the source code as a table (ARGS="--beside FOLDER" adds a second checkout)
	@$(BIN)/python -m lint.measure $(ARGS)

format: $(INSTALLED) ## Format the code and mend what can be mended
	@$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .

up: $(INSTALLED) ## Start the platform; returns when all four services are ready (BROKERS=3: with three Kafka brokers; TRACES=1: with traces)
	@$(BIN)/fc up $(if $(BROKERS),--brokers $(BROKERS)) $(if $(TRACES),--traces)

down: $(INSTALLED) ## Stop it; the data stays (fc down --wipe removes it)
	@$(BIN)/fc down

status: $(INSTALLED) ## Show what runs, since when and where
	@$(BIN)/fc status

logs: $(INSTALLED) ## Show the end of all logs
	@$(BIN)/fc logs

seed: $(INSTALLED) ## Make an administrator, two customers, twenty products
	@$(BIN)/fc seed

topics: $(INSTALLED) ## Create the Kafka topics and their dead letter topics
	@$(BIN)/fc topics

doctor: $(INSTALLED) ## Show what was found on this machine, and what stands in for what
	@$(BIN)/fc doctor

demo: $(INSTALLED) ## Start everything and watch orders being placed, paid, completed and compensated (TRACES=1: with traces)
	@$(BIN)/fc demo $(if $(TRACES),--traces)

lock: $(INSTALLED) ## Resolve all requirements.in again into hashed requirements.txt
	@compile="$(BIN)/uv pip compile -q --generate-hashes --no-header --no-annotate --universal --python-version 3.11"
	$$compile requirements-dev.in -o requirements-dev.txt
	# Under the versions of the tests: else a service could be given a newer one for a newer Python.
	for package in $(DEPLOYED); do
	  $$compile -c requirements-dev.txt $$package/requirements.in -o $$package/requirements.txt
	done
	for part in build simulator assets auditor; do
	  $$compile -c requirements-dev.txt deploy/$$part-requirements.in -o deploy/$$part-requirements.txt
	done
	$$compile -c requirements-dev.txt scripts/delivery/requirements.in -o scripts/delivery/requirements.txt

protos: $(INSTALLED) ## Generate the gRPC code again
	@scripts/gen_protos.sh

$(DELIVERY)/.installed: scripts/delivery/requirements.txt | $(INSTALLED)
	@$(BIN)/python -m venv $(DELIVERY)
	$(DELIVERY)/bin/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

lint-workflows: $(DELIVERY)/.installed ## Check the workflows of GitHub Actions by schema, zizmor and actionlint (needs Go)
	@schema="$(DELIVERY)/bin/check-jsonschema --builtin-schema"
	$$schema vendor.github-workflows .github/workflows/*.yml
	$$schema vendor.github-actions .github/actions/*/action.yml
	$$schema vendor.dependabot .github/dependabot.yml
	$(DELIVERY)/bin/zizmor --offline --quiet --persona auditor .github
	if [ ! -x $(DELIVERY)/bin/actionlint ]; then
	  command -v go >/dev/null || { echo 'actionlint is built by Go, which is not installed.'; exit 1; }
	  GOBIN=$(CURDIR)/$(DELIVERY)/bin go install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT)
	fi
	# It does not know yet what $$/ means; python -m lint sees that the file is there. Without shellcheck it finds the same everywhere.
	$(DELIVERY)/bin/actionlint -shellcheck= -ignore '"\$$/\.github/'
	echo 'Schema, zizmor and actionlint find nothing.'

sbom: $(DELIVERY)/.installed ## Write a CycloneDX document for each service to dist/sbom, and compare it with the lock
	@$(BIN)/python -m delivery sbom $(DELIVERY)/bin/cyclonedx-py dist/sbom

release-check: $(INSTALLED) ## See that TAG (v1.2.3), CHANGELOG.md and the packages agree
	@$(BIN)/python -m delivery release '$(TAG)'

release-notes: $(INSTALLED) ## Print the changes of the version
	@$(BIN)/python -m delivery notes

clean: ## Remove what the tools have left (not the stack's data)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .import_linter.log .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
