# What one does with the project; `make` alone lists it.

PYTHON ?= python3
PORT ?= 8000
# From the command line only: some shells and environments have a HOST of their own.
HOST = 127.0.0.1
# More for pytest or the benchmark: make test ARGS="-k lookup"
ARGS =

VENV = .venv
RUN = $(VENV)/bin/python

.PHONY: help run test bench fix openapi screenshots translations setup setup-dev chromium directory wrk \
	check check-lint check-types check-layers check-migrations check-openapi check-production

help:
	@echo "make run      serve the demo site on http://$(HOST):$(PORT)/ (PORT=… HOST=…), Ctrl-C ends it"
	@echo "make test     run every test (ARGS=… for pytest)"
	@echo "make bench    measure look-ups against a yardstick (ARGS=\"--numbers 10000\"; docs/performance.md)"
	@echo "make check    lint, types, layers, migrations, API document, production settings"
	@echo "make fix      put the code in order as far as that goes by itself"
	@echo "make openapi  write docs/openapi.json"
	@echo "make screenshots  take the pictures of docs/user-guide.md again"
	@echo "make translations  bring the German catalogue in step with the code"
	@echo "make setup    make $(VENV) only (PYTHON=/path/to/python3.11 names another Python)"

run: setup
	@exec $(RUN) manage.py serve_demo --host "$(HOST)" --port "$(PORT)"

test: setup-dev chromium directory
	@exec $(RUN) -m pytest $(ARGS)

bench: setup-dev wrk
	@exec $(RUN) -m tests.bench $(ARGS)

# `make -k check` goes on after the first that fails.
check: check-lint check-types check-layers check-migrations check-openapi check-production

check-lint: setup-dev
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

check-types: setup-dev
	$(RUN) -m mypy

check-layers: setup-dev
	$(RUN) $(VENV)/bin/lint-imports

check-migrations: setup-dev
	$(RUN) manage.py makemigrations --check --dry-run

check-openapi: setup-dev
	@mkdir -p var
	$(RUN) manage.py $(SPECTACULAR) --file var/openapi.json
	@diff -u docs/openapi.json var/openapi.json || { echo "docs/openapi.json is not up to date: make openapi" >&2; exit 1; }

check-production: setup-dev
	@echo "manage.py check --deploy, with the settings of a site in production"
	@$(PRODUCTION) $(RUN) manage.py check --deploy --fail-level WARNING

SPECTACULAR = spectacular --format openapi-json --validate --fail-on-warn

fix: setup-dev
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

openapi: setup-dev
	$(RUN) manage.py $(SPECTACULAR) --file docs/openapi.json

# As a site would have it, with a key and addresses that belong to nobody.
PRODUCTION = CMPHONE_ENVIRONMENT=production \
	CMPHONE_SECRET_KEY=kHjZbtz9gSDxauYoxU-lNAk85bGc-Jg96t3jFqDc6OPuRkh2UGsv3D-X0avXKgyK \
	CMPHONE_ALLOWED_HOSTS=cmphone.example.com \
	CMPHONE_PUBLIC_URL=https://cmphone.example.com \
	CMPHONE_LICENSE_PUBLIC_KEY=g3cKltB3yf178BBJSwfxe2ZwNiEeOdewtQrRBfXAmnQ= \
	CMPHONE_DATABASE_URL=postgresql://cmphone@db.example.com/cmphone \
	CMPHONE_REDIS_URL=redis://redis.example.com/0

# What a test sees of an agent's day, small where there is a program that makes pictures so.
screenshots: setup-dev chromium
	CMPHONE_SCREENSHOTS=docs/day $(RUN) -m pytest "tests/test_browser_day.py::test_the_day_of_an_agent[en]"
	if command -v pngquant >/dev/null; then pngquant --force --ext .png --nofs 64 docs/day/*.png; fi

translations: setup-dev
	$(RUN) -m tests.translations

setup:
	@$(call install,requirements.txt,requirements.txt)

setup-dev:
	@$(call install,requirements-dev.txt,requirements.txt requirements-dev.txt)

# Make .venv and put requirements file $(1) into it, unless its text, all of $(2), is what was put there last.
# A .venv which an interrupted run left without pip is made anew.
define install
	set -e; umask 022; hint=; \
	installed=$(VENV)/installed-$(1); \
	if [ "$$(cat $(2))" = "$$(cat $$installed 2>/dev/null)" ] && $(RUN) -c "" 2>/dev/null; then exit 0; fi; \
	if ! $(RUN) -m pip --version >/dev/null 2>&1; then \
		if ! $(PYTHON) -c "" 2>/dev/null; then \
			echo "There is no Python here that starts as $(PYTHON)." >&2; hint=y; \
		elif ! $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))"; then \
			echo "cmphone needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; hint=y; \
		elif ! $(PYTHON) -c "import ensurepip, venv" 2>/dev/null; then \
			echo "$(PYTHON) cannot make a virtual environment: its modules venv and ensurepip are missing." >&2; \
			echo "On Debian and Ubuntu they are the package python3-venv." >&2; hint=y; \
		fi; \
		if [ -n "$$hint" ]; then echo "To use another one:  make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
		echo "Making $(VENV) …"; \
		rm -rf $(VENV); \
		$(PYTHON) -m venv $(VENV); \
	fi; \
	echo "Installing $(1) …"; \
	$(RUN) -m pip install -qq --disable-pip-version-check --no-input -r $(1); \
	cat $(2) > $$installed
endef

# The browser tests want a Chromium, those of directories a slapd and python-ldap, the benchmark a load generator.
chromium: setup-dev
	@$(call install_package,chromium,browser tests,$(RUN) -m tests.browser)

# Without a configuration of its own the package starts no server.
directory: setup-dev
	@if [ "$$(id -u)" = 0 ] && [ ! -e /usr/sbin/slapd ] && command -v debconf-set-selections >/dev/null; then \
		echo "slapd slapd/no_configuration boolean true" | debconf-set-selections; \
	fi
	@$(call install_package,slapd gcc python3-dev libldap2-dev libsasl2-dev,tests of directories,$(RUN) -m tests.directories)
	@if [ "$$(id -u)" = 0 ] && ! $(RUN) -c "import ldap" 2>/dev/null; then \
		mkdir -p var/log; \
		echo "Building python-ldap for the tests of directories …"; \
		$(RUN) -m pip install --disable-pip-version-check --no-input -r requirements-ldap.txt >var/log/python-ldap.log 2>&1 \
			|| echo "That failed; var/log/python-ldap.log says why.  Going on: the tests of directories are skipped." >&2; \
	fi

wrk:
	@$(call install_package,wrk,benchmark,command -v wrk)

# Install package $(1) for the $(2) unless command $(3) finds it.  Root gets it on Debian's kin; elsewhere those who
# want it say what to do.
define install_package
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! $(3) >/dev/null 2>&1; then \
		mkdir -p var/log; \
		echo "Installing $(1) for the $(2) (apt-get) …"; \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(1); } \
			>var/log/apt-get.log 2>&1 || echo "That failed; var/log/apt-get.log says why.  Going on without." >&2; \
	fi
endef
