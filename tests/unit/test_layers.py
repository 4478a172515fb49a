# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of the architecture that a machine can check. See "Where things go" in CONTRIBUTING.md."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
# A file imports only what stands to its left. `resources` is the folder, one file or folder per XenAPI class.
ORDER = [
    "errors",
    "transport",
    "client",
    "tasks",
    "shown",
    "http_transfer",
    "nbd",
    "stream",
    "mirror",
    "side",
    "pace",
    "refs",
    "chains",
    "guest",
    "vms",
    "still",
    "hosts",
    "host_return",
    "heartbeat",
    "inventory",
    "wiring",
    "storage",
    "capacity",
    "recommendations",
    "reasons",
    "movable",
    "plan",
    "members",
    "fields",
    "disks",
    "refused",
    "resource",
    "upgrade",
    "resources",
    "preflight",
    "joined",
    "unexpressed",
    "module",
    "many",
    "describe",
    "vm_list",
    "vm_batch",
    "backup_choice",
    "backup_room",
    "backup_batch",
    "restore_batch",
    "xl_module",
]
# Folders of pure Python, which know nothing of XenAPI (but raise its errors) and are imported from anywhere.
PURE = ["backup", "formats", "growing", "model", "planner", "xl"]
# To XenAPI templates and snapshots are VMs: the first have parts of resources/vm, the others go with their VM.
KNOWS = {
    "template": {"vm", "vm_import"},
    "vm": {"snapshot"},
    "backup": {"snapshot", "vm_export"},
    "restore": {"vm_import"},
    "backup_verify": {"restore", "vm_import"},
}
FILES = sorted(UTILS.rglob("*.py"))
PACKAGE = "ansible_collections.domzero.xen.plugins.module_utils"


def name_of(path: Path) -> str:
    return str(path.relative_to(UTILS))


def imported(path: Path) -> set[str]:
    """Dotted names of what a file imports; those of module_utils as "module_utils.<file>"."""
    package = ("module_utils", *path.relative_to(UTILS).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[: len(package) + 1 - node.level], *filter(None, [node.module]))) if node.level else node.module or ""
            base = base.replace(PACKAGE, "module_utils")
            # "from . import tasks" names files, "from .tasks import wait" names what is in one
            names |= {f"{base}.{alias.name}" for alias in node.names} if is_folder(base) else {base}
    return names


def is_folder(dotted: str) -> bool:
    parts = dotted.split(".")
    return parts[0] == "module_utils" and UTILS.joinpath(*parts[1:]).is_dir()


def layer(dotted: str) -> str:
    return dotted.split(".")[1]


def own_imports(path: Path) -> set[str]:
    return {name for name in imported(path) if name.startswith("module_utils.")}


def own_layer(path: Path) -> str:
    return path.relative_to(UTILS).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_has_its_place_in_the_order(path: Path) -> None:
    assert own_layer(path) in [*ORDER, *PURE, "__init__"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    here = own_layer(path)
    allowed = {"errors", *PURE, here} if here in PURE else {*PURE, *ORDER[: ORDER.index(here)]} if here in ORDER else set()
    if here in ("resources", "upgrade"):
        allowed.add(here)  # which of the resources: the next test
    assert {layer(name) for name in own_imports(path)} <= allowed


@pytest.mark.parametrize("path", [f for f in FILES if own_layer(f) == "resources"], ids=name_of)
def test_resources_do_not_import_each_other(path: Path) -> None:
    """Only the parts of one class, in a folder of its own, know each other."""
    family = path.relative_to(UTILS / "resources").parts[0].removesuffix(".py")
    known = {family, *KNOWS.get(family, ())}
    others = {name for name in own_imports(path) if layer(name) == "resources" and name.split(".")[2] not in known}
    assert others == set()


@pytest.mark.parametrize("path", [f for f in FILES if f.name not in ("module.py", "xl_module.py")], ids=name_of)
def test_only_module_py_talks_to_ansible(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] in ("ansible", "ansible_collections")]


def test_a_package_of_others_is_imported_in_one_file_only() -> None:
    importers: dict[str, set[str]] = {}
    for path in FILES:
        for name in imported(path):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top not in ("module_utils", "ansible"):
                importers.setdefault(top, set()).add(name_of(path))
    assert {top: files for top, files in importers.items() if len(files) > 1} == {}
    assert set(importers) <= {"XenAPI", "jmespath", "xxhash", "yaml", "zstandard"}


def test_check_mode_is_known_in_two_files_and_the_action_plugin() -> None:
    knowing = {
        str(path.relative_to(PLUGINS))
        for path in PLUGINS.rglob("*.py")
        if "check_mode" in words_of(path) and path.parent.name not in ("action", "doc_fragments")
    }
    # what runs inside a guest or on Dom0 is no task of the pool
    known = {"module_utils/resource.py", "module_utils/module.py", "module_utils/xl_module.py", "modules/guest_fs_grow.py"}
    assert knowing <= known


def words_of(path: Path) -> set[str]:
    """The names used in the code, not in strings and comments."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {str(getattr(node, key)) for node in nodes for key in ("attr", "id", "arg") if hasattr(node, key)}
