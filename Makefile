# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The one door to every check, the same here and in CI. Needs git, make and python3 (3.11+) with venv.

PYTHON ?= python3
# of the virtual environment; ansible-test would also try interpreters that only look installed, such as the shims of pyenv
PYTHON_VERSION = $$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
TREE := .cache/tree/ansible_collections/domzero/xen
TOOLS := ansible_collections.domzero.xen.tests.tools
# scenarios that need QEMU: nested-xen runs them
NESTED := dom0 domu

# Targets are relative, what is absolute is quoted. Where the path of the checkout holds spaces a link stands for it, since Ansible
# can't run every task, and ansible-test none, with a Python that has spaces in its path.
HERE := $(CURDIR)
ifneq ($(words $(CURDIR)),1)
HERE := /tmp/domzero-xen-$(firstword $(shell pwd | cksum))
$(shell ln -sfn "$$(pwd)" $(HERE))
endif
export PATH := $(HERE)/.venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(HERE)/.venv/collections
export ANSIBLE_CONFIG := $(HERE)/tests/ansible.cfg
# Ansible looks for the outcome of async tasks below the home of the password file, and leaves it below HOME
export ANSIBLE_ASYNC_DIR := $(HERE)/.cache/async
export LC_ALL := C.UTF-8
# The tools are quiet about themselves and never wait for an answer.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help .venv demo test sanity unit slow integration molecule nested-xen bench docs docs-check lint format format-check types licence generate changelog changelog-check clean

help: ## Show this list
	@sed -n 's/^\([a-z.-]*\)[a-z. -]*:.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20

# --- the virtual environment ---------------------------------------------------------------------------------------------

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 is %d.%d, 3.11 or later is needed: make PYTHON=python3.x" % sys.version_info[:2])'
	$(PYTHON) -m venv $(HERE)/.venv || { rm -rf .venv; exit 1; }

# Ansible and Python both find the checkout as the collection domzero.xen.
.venv/collections/ansible_collections/domzero/xen: | .venv/bin/python
	mkdir -p .venv/collections/ansible_collections/domzero
	ln -sfn ../../../.. .venv/collections/ansible_collections/domzero/xen
	python tests/tools/on_path.py

.venv/.demo: requirements-demo.txt requirements.txt tests/simulator/requirements.txt | .venv/collections/ansible_collections/domzero/xen
	python -m pip install --quiet -r requirements-demo.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.demo
	python -m pip install --quiet -r requirements-dev.txt
	@touch $@

.venv: .venv/.dev ## Make the virtual environment

# --- using it ------------------------------------------------------------------------------------------------------------

demo: .venv/.demo ## Build a pool on simulated hosts, VMs on it, upgrade it, save and restore it; each a second time, which changes nothing
	@python -m $(TOOLS).demo

# --- checking it ---------------------------------------------------------------------------------------------------------

test: format-check lint types licence changelog-check unit ## What is to be right at every commit; ends with the summary of the unit tests

unit: .venv/.dev ## Unit tests, on all the cores: make unit ARGS="-k network"
	python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

slow: .venv/.dev ## What unit leaves out: playbooks of guides, and of sweeps (an interruption at every call) each tenth case; SWEEP=whole takes all
	python -m pytest -n auto --dist worksteal -m slow $(ARGS)

integration: .venv/.dev ## ansible-test integration targets, against the simulator: make integration TARGET=xen_network
	python -m $(TOOLS).lay_out $(TREE)
	cd $(TREE) && ansible-test integration --color no $(TARGET)

molecule: .venv/.dev ## Molecule scenarios, against the simulator: make molecule SCENARIO=pool_build
	ANSIBLE_CONFIG= molecule test $(if $(SCENARIO),--scenario-name $(SCENARIO),--all $(addprefix --exclude ,$(NESTED)))

nested-xen: .venv/.dev ## Stories on a real Xen in a QEMU guest, as root; skipped without QEMU: make nested-xen ARGS="-k volume" SUITE=trixie
	@python -m ansible_collections.domzero.xen.tests.nested_xen missing || echo "nested-xen: SKIPPED, nothing is tested on a real Xen here."
	NESTED_XEN_SUITE=$(or $(SUITE),bookworm) python -m pytest -v --durations=30 --override-ini=testpaths=tests/nested_xen $(ARGS)

sanity: .venv/.dev ## ansible-test sanity, all tests: make sanity ARGS="--test validate-modules"
	python -m $(TOOLS).lay_out $(TREE)
	python -m $(TOOLS).pip_for_ansible_test
	cd $(TREE) && ansible-test sanity --color no --python $(PYTHON_VERSION) $(ARGS)

bench: .venv/.dev ## Measure, one JSON object a line: make bench NAME=task_in_process
	python -m ansible_collections.domzero.xen.tests.bench $(NAME)

format: .venv/.dev ## Format the Python files
	ruff check --select I --fix .
	ruff format .

format-check: .venv/.dev
	ruff format --check .

lint: .venv/.dev ## ruff, yamllint, ansible-lint, shellcheck
	ruff check .
	yamllint --strict .
	ansible-lint
	shellcheck .ci/run tests/simulator/xapi-sim

types: .venv/.dev ## mypy, strict
	mypy $(addprefix -p ansible_collections.domzero.xen.,plugins.module_utils plugins.action plugins.modules plugins.inventory plugins.plugin_utils tests.bench tests.nested_xen tests.simulator tests.tools tests.xl_simulator)

licence: .venv/.dev ## Every source file names its licence
	python -m $(TOOLS).licence

docs docs-check: .venv/.dev ## Check the documentation and render it into .cache/docs/html
	python -m $(TOOLS).docs

generate: .venv/.dev ## Write what follows from the modules and roles there are: meta/runtime.yml, plugins/action, argument_specs of pool_build, README.md
	python -m $(TOOLS).generate_runtime
	python -m $(TOOLS).generate_role_specs
	python -m $(TOOLS).generate_readme

changelog: .venv/.dev ## Make CHANGELOG.rst from the fragments, for the version of galaxy.yml
	antsibull-changelog release

changelog-check: .venv/.dev ## The changelog fragments are well-formed
	antsibull-changelog lint

clean: ## Remove everything that was made here
	rm -rf .venv .cache .ansible .ruff_cache .mypy_cache .pytest_cache .hypothesis tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
