# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guides show is run: commands, playbooks, sites, a molecule scenario."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import textwrap
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT
from ansible_collections.domzero.xen.tests.tools.generate_role_specs import of_module

PAGES = CHECKOUT / "docs/docsite/rst"
BLOCK = re.compile(r"^\.\. code-block:: (\S+)\n((?:    :.*\n)*)\n((?:    .*\n|\n)+)", re.MULTILINE)
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_LOCALHOST_WARNING": "false"}


class Block(t.NamedTuple):
    """language: of the highlighting; name: the caption, a file's name mostly."""

    language: str
    name: str
    text: str


def blocks(page: str) -> list[Block]:
    found = BLOCK.findall((PAGES / f"{page}.rst").read_text())
    return [Block(language, options.partition(":caption:")[2].strip(), textwrap.dedent(text)) for language, options, text in found]


def written(page: str, folder: Path) -> None:
    """The files a page shows."""
    for block in blocks(page):
        if block.name.endswith(".yml"):
            path = folder / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(adapted(block.text, folder))


def adapted(text: str, folder: Path) -> str:
    """The same in a folder of the test's own."""
    return text.replace("/tmp/", f"{folder}/").replace("/path/to/ansible_collections/domzero/xen", str(CHECKOUT))


class Terminal:
    """Runs the commands of a page; those that run in the foreground until they are ended go on beside."""

    def __init__(self, folder: Path):
        self.folder, self.running = folder, list[subprocess.Popen[bytes]]()

    def run(self, line: str) -> str:
        command = shlex.split(adapted(line, self.folder).replace("tests/simulator/", f"{CHECKOUT}/tests/simulator/"))
        if "up" in command:
            self._begin(command)
            return ""
        done = subprocess.run(command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _begin(self, command: list[str]) -> None:
        ready = Path(command[command.index("--ready-file") + 1])
        with (self.folder / "log").open("ab") as log:
            self.running.append(subprocess.Popen([*command, "--port", "0"], cwd=self.folder, stdout=log, stderr=log))
        end = time.monotonic() + 60
        while not ready.exists():
            assert self.running[-1].poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)

    def end(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(30)


@pytest.fixture
def terminal(tmp_path: Path) -> t.Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.end()


def dump(ready: Path) -> bytes:
    """The database of a pool as /pool/xmldbdump gives it."""
    pool = json.loads(ready.read_text())
    login = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    login.add_password(None, pool["hosts"][0]["url"], pool["username"], pool["password"])
    secure = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    opener = urllib.request.build_opener(secure, urllib.request.HTTPBasicAuthHandler(login))
    return t.cast("bytes", opener.open(f"{pool['hosts'][0]['url']}/pool/xmldbdump").read())


def test_the_commands_of_the_guide_to_the_simulator_do_what_it_says(terminal: Terminal, tmp_path: Path) -> None:
    written("guide_simulator", tmp_path)
    said: dict[str, str] = {}
    for line in [line for b in blocks("guide_simulator") if b.language == "shell" for line in b.text.splitlines() if line]:
        if line.startswith("molecule"):
            continue
        if "load-db" in line:
            (tmp_path / "pool.xml").write_bytes(dump(tmp_path / "pool.json"))
        said[line.partition("/tmp/pool ")[2] or line] = terminal.run(line)
    assert [json.loads(line)["method"] for line in said["calls"].splitlines()] == ["network.create"]
    assert len(said["fault list"].splitlines()) == 6
    assert {host["name"] for host in json.loads(said["hosts"])["hosts"]} == {"xcp00", "xcp01", "xcp02"}
    assert len(json.loads(said["load-db pool.xml"])["hosts"]) == 3


@pytest.mark.slow
def test_the_molecule_scenario_of_the_guide_passes(terminal: Terminal, tmp_path: Path) -> None:
    written("guide_simulator", tmp_path)
    assert [b.text.strip() for b in blocks("guide_simulator") if b.text.startswith("molecule")] == ["molecule test"]
    terminal.run("molecule test")


def test_the_site_of_the_guide_is_two_hosts_and_a_filer() -> None:
    (shown,) = [b.text for b in blocks("guide_simulator") if b.name == "site.yml"]
    world = site.build(site.parse(yaml.safe_load(shown)), speed=0)
    assert list(world.machines) == ["alpha", "beta"]


def test_the_file_of_the_first_guide_uses_options_that_there_are() -> None:
    (shown,) = [b.text for b in blocks("guide_start") if b.name.endswith("lab.yml")]
    described = yaml.safe_load(shown)
    for variable, module in (("pool_build_networks", "xen_network"), ("pool_build_storage", "xen_sr"), ("pool_build_hosts", "xen_host")):
        known = set(of_module(module)) | (
            {"name", "address", "addresses", "username", "password", "force"} if module == "xen_host" else set()
        )
        assert [key for entry in described[variable] for key in entry if key not in known] == []
    assert set(described["pool_build_pool"]) <= set(of_module("xen_pool"))
    assert {key for host in described["pool_build_hosts"] for entry in host["addresses"] for key in entry} <= set(of_module("xen_pif"))


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.rst")))
def test_the_playbooks_of_a_guide_use_options_that_there_are(page: str) -> None:
    for block in blocks(page):
        if not block.language.startswith("yaml"):
            continue
        for module, options in uses(yaml.safe_load(block.text)):
            spec = importlib.import_module(f"ansible_collections.domzero.xen.plugins.modules.{module}").MODULE.argument_spec
            assert set(options or {}) <= set(spec), f"{page}: {module}"


def uses(tree: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """Tasks of this collection, wherever they stand."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if isinstance(key, str) and key.startswith("domzero.xen.xen_"):
            yield key.removeprefix("domzero.xen."), value
        yield from uses(value)


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.rst")))
def test_a_guide_is_listed(page: str) -> None:
    (section,) = yaml.safe_load((CHECKOUT / "docs/docsite/extra-docs.yml").read_text())["sections"]
    assert page in section["toctree"]


def test_the_files_that_contributing_names_are_there() -> None:
    text = (CHECKOUT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:plugins|roles|tests|docs|extensions|changelogs)/[\w./-]+)`", text))
    assert len(named) > 15
    assert sorted(path for path in named if not (CHECKOUT / path).exists()) == []


def test_the_rows_that_contributing_shows_are_in_the_files_it_names() -> None:
    recipes = (CHECKOUT / "CONTRIBUTING.md").read_text().split("### ")[1:3]
    for recipe in recipes:
        (row,) = re.findall(r"```python\n\s*(.*)\n\s*```", recipe)
        file = next(path for path in re.findall(r"`([\w./-]+\.py)`", recipe))
        assert row in (CHECKOUT / file).read_text()


def test_the_playbook_of_the_readme_runs(terminal: Terminal, tmp_path: Path) -> None:
    terminal.run("tests/simulator/xapi-sim up --state /tmp/pool --hosts 2 --joined --ready-file /tmp/pool.json")
    pool = json.loads((tmp_path / "pool.json").read_text())
    (play,) = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)[0])
    (connection,) = play["module_defaults"].values()
    host = pool["hosts"][0]
    connection |= {"hostname": host["url"], "password": pool["password"], "fingerprint": host["fingerprint_sha256"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    assert "changed=1" in terminal.run("ansible-playbook play.yml")
    assert "changed=0" in terminal.run("ansible-playbook play.yml")
