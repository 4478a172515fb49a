# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EXAMPLES of every module are run, each in check mode, for real, and again; CONTRIBUTING.md says how to prepare them."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.domzero.xen.tests.simulator.running import Simulator
from ansible_collections.domzero.xen.tests.tools import loop_disk

pytestmark = pytest.mark.slow(whole=True)  # every module's, at any time

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (CHECKOUT / "tests/examples").glob("*.yml"))
CONNECTION = ("hostname", "username", "password", "validate_certs", "ca_file", "fingerprint")
Task = dict[str, t.Any]


def examples_of(module: str) -> list[Task]:
    path = CHECKOUT / f"plugins/modules/{module}.py"
    _doc, examples, _return, _metadata = get_docstring(str(path), fragment_loader, collection_name="domzero.xen", plugin_type="module")
    return t.cast("list[Task]", yaml.safe_load(examples))


def action_of(task: Task) -> str | None:
    return next((key for key in task if key.startswith("domzero.xen.")), None)


def aimed_at_the_simulator(task: Task) -> Task:
    """Without the address and login that stand in the example."""
    action = action_of(task)
    if not action or not action.startswith("domzero.xen.xen_") or not isinstance(task[action], dict):
        return task
    return {**task, action: {option: value for option, value in task[action].items() if option not in CONNECTION}}


def steps(example: Task, *, once: bool) -> t.Iterator[Task]:
    task = aimed_at_the_simulator(example)
    if not action_of(task):
        yield task
        return
    name = task["name"]
    yield {**task, "check_mode": True, "diff": True, "register": "predicted"}
    yield {**task, "diff": True, "register": "done"}
    right = ["predicted.changed == done.changed", "predicted.diff | default({}) == done.diff | default({})"]
    yield {"name": f"{name}: the prediction was right", "ansible.builtin.assert": {"that": right}}
    if "register" in example:
        yield {"name": f"{name}: keep its result", "ansible.builtin.set_fact": {example["register"]: "{{ done }}"}}
    if not once:
        yield {**task, "register": "again"}
        yield {"name": f"{name}: again, nothing changes", "ansible.builtin.assert": {"that": ["again is not changed"]}}


def plays_of(module: str, table: Task, ready: Task) -> list[Task]:
    login = {"hostname": ready["hosts"][0]["url"], "username": ready["username"], "password": ready["password"]}
    trusted = {"fingerprint": [host["fingerprint_sha256"] for host in ready["hosts"]]}
    frame = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"simulator": ready, "checkout": str(CHECKOUT), **table.get("vars", {})},
        "module_defaults": {"group/domzero.xen.xen": {**login, **trusted}, **table.get("defaults", {})},
    }
    plays: list[Task] = []
    before, once = dict(table.get("before", {})), set(table.get("once", []))
    for example in examples_of(module):
        tasks = before.pop(example["name"], [])
        if "hosts" in example:
            plays += [{**frame, "name": "Prepare", "tasks": tasks}, {**example, **frame}]
        else:
            repeated = steps(example, once=example["name"] in once)
            plays.append({**frame, "name": example["name"], "tasks": [*tasks, *repeated]})
    assert not before, f"tests/examples/{module}.yml prepares examples that aren't there: {sorted(before)}"
    return plays


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_do_what_they_predict_and_only_once(module: str, tmp_path: Path) -> None:
    table = yaml.safe_load((CHECKOUT / f"tests/examples/{module}.yml").read_text()) or {}
    if table.get("needs") == "loop device" and (told := loop_disk.why_not()):
        pytest.skip(told)
    arguments = [str(argument) for argument in table.get("simulator", ["--site", "examples"])]
    with Simulator(*arguments, "--speed", "0") as simulator:
        playbook = tmp_path / "examples.yml"
        playbook.write_text(json.dumps(plays_of(module, table, simulator.ready), indent=2))
        command = [*table.get("within", []), str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        simulator.ctl("check")
