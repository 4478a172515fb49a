# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides to domUs show uses options that there are, and describes guests that can be."""

from __future__ import annotations

import importlib
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.plugins.module_utils.formats.sizes import size
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.described import described
from ansible_collections.domzero.xen.plugins.module_utils.xl.guest.wanted import order
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

from .test_guides import ENVIRONMENT, blocks

GUIDES = ("guide_domu", "guide_xe_to_xl")
README = (CHECKOUT / "roles/domu/README.md").read_text()


def tasks(tree: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if isinstance(key, str) and key.startswith("domzero.xen.xl_"):
            yield key.removeprefix("domzero.xen."), value
        yield from tasks(value)


@pytest.mark.parametrize("page", GUIDES)
def test_modules_are_called_with_options_that_they_have(page: str) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            for module, options in tasks(yaml.safe_load(block.text)):
                known = importlib.import_module(f"ansible_collections.domzero.xen.plugins.modules.{module}").OPTIONS
                assert set(options) - {"timeout"} <= set(known), f"{page}: {module}"


@pytest.mark.parametrize("page", GUIDES)
def test_playbooks_of_the_guides_pass_the_syntax_check(page: str, tmp_path: Path) -> None:
    files = {block.name: block.text for block in blocks(page) if block.name.endswith(".yml")}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    plays = [name for name, text in files.items() if isinstance(yaml.safe_load(text), list)]
    for name in plays:
        command = ["ansible-playbook", "--syntax-check", "-i", "dom0.example.com,", name]
        done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_guests_of_the_guide_can_be() -> None:
    (listed,) = [yaml.safe_load(block.text) for block in blocks("guide_domu") if block.name == "guests.yml"]
    for own in listed["domu_guests"]:
        guest = described(listed["domu_defaults"], own)
        assert order(guest.os, size).method == "debootstrap"


def test_the_guests_of_the_readme_can_be() -> None:
    shown = yaml.safe_load(README.split("```yaml\n")[1].split("```")[0])[0]["roles"][0]
    assert [described(shown["domu_defaults"], own).name for own in shown["domu_guests"]] == ["web01", "db01"]


def test_the_role_passes_every_option_of_a_domain_on() -> None:
    known = importlib.import_module("ansible_collections.domzero.xen.plugins.modules.xl_domain").OPTIONS
    (task,) = yaml.safe_load((CHECKOUT / "roles/domu/tasks/domain.yml").read_text())
    passed = set(task["domzero.xen.xl_domain"])
    assert set(known) - passed == {"config", "config_text", "save_path"}


def test_the_role_passes_every_option_of_a_system_on() -> None:
    known = importlib.import_module("ansible_collections.domzero.xen.plugins.modules.xl_guest_os").OPTIONS
    (task,) = yaml.safe_load((CHECKOUT / "roles/domu/tasks/system.yml").read_text())
    assert set(known) == set(task["domzero.xen.xl_guest_os"])
