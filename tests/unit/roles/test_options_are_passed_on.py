# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What argument_specs take is handed to the module that manages it, under its own name."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT
from ansible_collections.domzero.xen.tests.tools.generate_role_specs import of_module

TASKS = CHECKOUT / "roles/pool_build/tasks"
# where a description's entry is found in the tasks that manage it: module, the entry in Jinja by file
ENTRIES = {
    "xen_network": {"networks.yml": "__pool_build_network"},
    "xen_pif": {"addresses.yml": "__pool_build_address.1"},
    "xen_sr": {"storage.yml": "pool_build_storage[__pool_build_sr]"},
    "xen_pool": {"pool.yml": "pool_build_pool"},
    # what a host uses of the storage comes after it
    "xen_host": {"hosts.yml": "pool_build_hosts[__pool_build_host]", "pool.yml": "pool_build_hosts[__pool_build_host]"},
}
# how the host itself is found is the role's
OF_THE_ROLE = {"xen_pif": {"host"}, "xen_host": {"name", "address"}}


def passed(module: str) -> dict[str, tuple[str, str]]:
    """Options the role gives the module: the value, and what it would be taken from."""
    found: dict[str, tuple[str, str]] = {}
    for file, entry in ENTRIES[module].items():
        tasks: list[dict[str, t.Any]] = yaml.safe_load((TASKS / file).read_text())
        (arguments,) = [task[f"domzero.xen.{module}"] for task in tasks if f"domzero.xen.{module}" in task]
        found |= {option: (value, entry) for option, value in arguments.items()}
    return {option: told for option, told in found.items() if option not in OF_THE_ROLE.get(module, ())}


@pytest.mark.parametrize("module", ENTRIES)
def test_every_option_of_the_description_reaches_its_module(module: str) -> None:
    assert set(of_module(module)) - set(passed(module)) == set(), f"the role does not pass them on to {module}"


@pytest.mark.parametrize("module", ENTRIES)
def test_nothing_is_passed_that_a_description_cannot_say(module: str) -> None:
    assert set(passed(module)) - set(of_module(module)) == set()


@pytest.mark.parametrize("module", ENTRIES)
def test_an_option_keeps_its_name_and_is_left_out_where_the_description_says_nothing(module: str) -> None:
    for option, (value, entry) in passed(module).items():
        rest = "" if of_module(module)[option].get("required") else r" \| default\(omit\)"
        assert re.fullmatch(rf"\{{\{{ {re.escape(entry)}\.{option}{rest} \}}\}}", value), f"{option}: {value}"
