# The verbs of this house. "make" alone lists them. Everything made here goes into .venv; nothing else is installed.

PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check -qq
# More words for the program behind the verb: make test ARGS="-k refund", make run ARGS="--port 8080"
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run worker demo check-books test lint pictures bench soak seeded lock clean

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: .venv/runtime.stamp ## Serve web and worker in one process at http://127.0.0.1:8000
	@exec .venv/bin/passalong run $(ARGS)

worker: .venv/runtime.stamp ## Run one more worker
	@exec .venv/bin/passalong worker $(ARGS)

demo: .venv/runtime.stamp ## Seed the demo shop through the real door, then run
	@.venv/bin/passalong demo
	@exec .venv/bin/passalong run $(ARGS)

check-books: .venv/runtime.stamp ## Derive every balance again and compare it with the books
	@exec .venv/bin/passalong check-books $(ARGS)

test: lint ## Lint, then run every test
	@if [ "$$(id -u)" = 0 ] && ! id pgserver >/dev/null 2>&1 && ! command -v useradd >/dev/null; then \
		echo "PostgreSQL refuses to run as root and there is no useradd to make it a user: install it (on Debian: apt-get install passwd) or run the tests as another user." >&2; exit 1; fi
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium for the tests in a browser." && \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; } || { \
		echo "The tests in a browser need Chromium: install it (on Debian: apt-get install chromium)." >&2; exit 1; }
	@command -v php >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing PHP for the tests of the lines for WooCommerce." && \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends php-cli >/dev/null; } || \
		echo "The lines for WooCommerce are not tested without PHP: install it (on Debian: apt-get install php-cli)." >&2
	@ls /usr/share/fonts/*/noto/NotoSansCJK* >/dev/null 2>&1 || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chinese and Japanese fonts for the screenshots." && \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends fonts-noto-cjk >/dev/null; } || \
		echo "Screenshots in tests/screens show boxes without Chinese and Japanese fonts (on Debian: apt-get install fonts-noto-cjk)." >&2
	.venv/bin/python -m pytest -n auto --dist worksteal $(ARGS)

lint: .venv/tests.stamp ## Check style, types and what may import what
	.venv/bin/ruff check --quiet .
	.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo --cache-dir .cache/import_linter

pictures: .venv/tests.stamp ## Take the pictures of the documents anew
	@.venv/bin/python -m pytest -q -p no:randomly tests/admin_ui/test_pictures.py --pictures

bench: .venv/tests.stamp ## Measure
	@exec .venv/bin/python bench/run.py $(ARGS)

soak: .venv/tests.stamp ## Run random histories, mutated inputs and crashes for a long time
	@exec .venv/bin/python tests/soak.py $(ARGS)

seeded: .venv/tests.stamp ## Put known faults in and see that the tests find them
	@exec .venv/bin/python tests/seeded.py $(ARGS)

# The one verb that asks for the newest releases; run it after a change of the dependencies in setup.cfg.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" .venv/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe \
	--strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options
lock: .venv/python.stamp ## Pin the newest dependencies that setup.cfg allows, with hashes
	@$(PYTHON) -m venv .venv/lock
	@.venv/lock/bin/python -m pip --disable-pip-version-check -qq install pip-tools
	$(COMPILE) --build-deps-for editable -o .ci/requirements.txt pyproject.toml
	$(COMPILE) -c .ci/requirements.txt --extra test --extra lint --extra serve -o .ci/requirements-test.txt pyproject.toml

clean: ## Remove .venv, builds and caches; instance/, which holds the books, stays
	rm -rf .venv build dist passalong.egg-info .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .schemathesis
	find plugin webhooks admin_ui tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Passalong needs Python 3.11 or newer: install it, or name it as in make run PYTHON=/usr/bin/python3.11." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments: install its venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Setting up .venv; the first time takes a minute or two."
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/runtime.stamp: .venv/python.stamp .ci/requirements.txt pyproject.toml setup.cfg
	@$(PIP) install --require-hashes -r .ci/requirements.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/tests.stamp: .venv/runtime.stamp .ci/requirements-test.txt
	@$(PIP) install --require-hashes -r .ci/requirements-test.txt
	@touch $@
