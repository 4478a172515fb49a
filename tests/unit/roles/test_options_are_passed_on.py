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
# where a description's entry is found in the task that manages it: file, module, the entry in Jinja
ENTRIES = {
    "networks.yml": ("xen_network", "__pool_build_network"),
    "addresses.yml": ("xen_pif", "__pool_build_address.1"),
    "storage.yml": ("xen_sr", "pool_build_storage[__pool_build_sr]"),
    "pool.yml": ("xen_pool", "pool_build_pool"),
    "hosts.yml": ("xen_host", "__pool_build_host"),
}
# how the host itself is found is the role's
OF_THE_ROLE = {"xen_pif": {"host"}, "xen_host": {"name", "uuid", "state"}}


def task(file: str, module: str) -> dict[str, t.Any]:
    """The arguments of the task that uses the module."""
    tasks = yaml.safe_load((TASKS / file).read_text())
    (found,) = [task[f"domzero.xen.{module}"] for task in tasks if f"domzero.xen.{module}" in task]
    return t.cast("dict[str, t.Any]", found)


@pytest.mark.parametrize("file", ENTRIES)
def test_every_option_of_the_description_reaches_its_module(file: str) -> None:
    module, _entry = ENTRIES[file]
    assert set(of_module(module)) - set(task(file, module)) == set(), f"{file} does not pass them on"


@pytest.mark.parametrize("file", ENTRIES)
def test_nothing_is_passed_that_a_description_cannot_say(file: str) -> None:
    module, _entry = ENTRIES[file]
    assert set(task(file, module)) - set(of_module(module)) - OF_THE_ROLE.get(module, set()) == set()


@pytest.mark.parametrize("file", ENTRIES)
def test_an_option_keeps_its_name_and_is_left_out_where_the_description_says_nothing(file: str) -> None:
    module, entry = ENTRIES[file]
    required = {name for name, option in of_module(module).items() if option.get("required")}
    for option, value in task(file, module).items():
        if option in OF_THE_ROLE.get(module, set()):
            continue
        rest = "" if option in required else r" \| default\(omit\)"
        assert re.fullmatch(rf"\{{\{{ {re.escape(entry)}\.{option}{rest} \}}\}}", value), f"{option}: {value}"
