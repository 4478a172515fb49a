# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of the inventory plugin and its guide say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.domzero.xen.plugins.module_utils.module import CONNECTION
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

from .inventory_lab import add_vm, lab, parsed

PLUGIN = CHECKOUT / "plugins/inventory/xen.py"
GUIDE = (CHECKOUT / "docs/docsite/rst/guide_inventory.rst").read_text()
DOC, EXAMPLES, *_rest = get_docstring(str(PLUGIN), fragment_loader, collection_name="domzero.xen", plugin_type="inventory")
BLOCK = re.compile(r"\.\. code-block:: yaml\+jinja\n    :caption: (\S+)\n\n((?:    .*\n|\n)+)")
SHOWN = {name: textwrap.dedent(text) for name, text in BLOCK.findall(GUIDE)}
SHOWN |= {re.findall(r"# (\S+\.xen\.yml)", text)[0] + " (example)": text for text in EXAMPLES.split("\n---\n")}


def test_the_connection_is_documented_as_that_of_the_modules():
    for name, spec in CONNECTION.items():
        if name == "session":
            continue
        option = DOC["options"][name]
        assert (option["type"], option.get("default"), option.get("elements")) == (spec["type"], spec.get("default"), spec.get("elements"))
        if name != "timeout":
            assert [e["name"] for e in option["env"]] == spec["fallback"][1]
        assert DOC["options"]["pools"]["suboptions"][name]["type"] == spec["type"]


def test_the_variables_that_are_documented_are_those_that_there_are(simulator, inventory):
    hosts = inventory(simulator(lab()), objects="both").hosts
    text = " ".join(DOC["description"])
    for name, begins in (("web", "Each VM has"), ("xcp00", "Each host has")):
        told = set(re.findall(r"C\((xen_\w+)\)", next(line for line in DOC["description"] if line.startswith(begins))))
        assert told == {variable for variable in hosts[name].vars if variable.startswith("xen_")}
    web = hosts["web"].vars
    inner = {*web["xen_networks"][0], *web["xen_disks"][0], *web["xen_os"], *web["xen_tools"]}
    assert all(f"C({key})" in text for key in inner)


@pytest.mark.parametrize("name", SHOWN)
def test_a_configuration_that_is_shown_works(simulator, tmp_path, monkeypatch, name):
    """As it stands; only where the pools are and how they are trusted is the test's."""
    shown = yaml.safe_load(SHOWN[name])
    sims = [simulator(lab()) for _pool in shown.get("pools", [None])]
    for sim in sims:
        add_vm(sim.world.pools[0].db, "kept", power_state="Running", other_config={"folder": "/production/a"}, tags=["web"])
    pins = [h.fingerprint_sha256 for sim in sims for h in sim.hosts]
    monkeypatch.setenv("LAB_PASSWORD", sims[0].password)
    own = {"username": "root", "fingerprint": pins, **({} if "LAB_PASSWORD" in SHOWN[name] else {"password": sims[0].password})}
    if "pools" in shown:
        shown["pools"] = [{**pool, **own, "hostname": sim.hosts[0].url} for pool, sim in zip(shown["pools"], sims)]
    else:
        shown |= {**own, "hostname": sims[0].hosts[0].url}
    if "cache_connection" in shown:
        shown["cache_connection"] = str(tmp_path / "cache")
    path = tmp_path / "shown.xen.yml"
    path.write_text(json.dumps(shown))
    found = parsed(path)
    assert [host for host in found.hosts if "kept" in host]
    if "keyed_groups" in shown and "filters" not in shown:
        assert "role_frontend" in found.groups


def test_the_commands_of_the_guide_work(simulator, tmp_path):
    sim = simulator(lab())
    (tmp_path / "lab.xen.yml").write_text("plugin: domzero.xen.xen\n")
    pins = ",".join(h.fingerprint_sha256 for h in sim.hosts)
    login = {"XEN_HOST": sim.hosts[0].url, "XEN_PASSWORD": sim.password, "XEN_FINGERPRINT": pins}
    (shown,) = re.findall(r"code-block:: shell\n\n((?:    .*\n)+)", GUIDE)
    for line in shown.split("\n"):
        if not line.strip():
            continue
        program, *arguments = line.split()
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **login}, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "web" in done.stdout
