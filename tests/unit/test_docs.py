# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module and role has to say about itself."""

from __future__ import annotations

import importlib
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.domzero.xen.tests.tools import generate_readme

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (CHECKOUT / "roles").glob("[!.]*") if path.is_dir())
Docs = dict[str, t.Any]


def documentation(module: str) -> tuple[Docs, list[Docs], Docs]:
    """DOCUMENTATION with its fragments, EXAMPLES as tasks, RETURN."""
    path = CHECKOUT / f"plugins/modules/{module}.py"
    doc, examples, returned, _metadata = get_docstring(str(path), fragment_loader, collection_name="domzero.xen", plugin_type="module")
    return doc, yaml.safe_load(examples), returned if isinstance(returned, dict) else yaml.safe_load(returned)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_supports(module: str) -> None:
    attributes = documentation(module)[0]["attributes"]
    assert {"check_mode", "diff_mode"} <= set(attributes)
    if module.startswith("xen_"):
        assert attributes["action_group"]["membership"] == ["domzero.xen.xen"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_examples_that_use_it(module: str) -> None:
    examples = documentation(module)[1]
    assert len(examples) >= 2
    assert all(example.get("name") for example in examples), "an example without a name"
    assert f"domzero.xen.{module}" in str(examples)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_returns(module: str) -> None:
    returned = documentation(module)[2]
    assert returned
    assert all(value.get("description") and value.get("type") for value in returned.values())


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("xen_")])
def test_documented_options_are_the_options(module: str) -> None:
    spec = importlib.import_module(f"ansible_collections.domzero.xen.plugins.modules.{module}").MODULE.argument_spec
    assert set(documentation(module)[0]["options"]) == set(spec)


def yaml_of(path: Path) -> Docs:
    return t.cast("Docs", yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_a_default_for_every_option_that_is_not_required(role: str) -> None:
    options = yaml_of(CHECKOUT / f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = yaml_of(CHECKOUT / f"roles/{role}/defaults/main.yml")
    assert set(defaults) == {name for name, option in options.items() if not option.get("required")}
    assert all(name.startswith(f"{role}_") for name in options)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_described_and_has_a_scenario(role: str) -> None:
    wanted = [f"roles/{role}/README.md", f"roles/{role}/meta/main.yml", f"extensions/molecule/{role}/molecule.yml"]
    assert [path for path in wanted if not (CHECKOUT / path).is_file()] == []


def test_the_readme_lists_every_module_and_role() -> None:
    assert generate_readme.readme() == generate_readme.README.read_text(), 'README.md is stale: run "make generate"'
