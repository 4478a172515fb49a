# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A template that is built: told before, gone on with after it was cut off. The molecule scenario builds whole ones."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conftest import Ran

pytestmark = pytest.mark.slow


class Build:
    """The role on a pool of one host, with an image of a disk; its guests do not switch themselves off."""

    def __init__(self, folder: Path):
        self.sim = InProcess(site.build(site.of_hosts(1), speed=0)).start()
        self.folder = folder
        (folder / "disk.img").write_bytes(bytes(1 << 20))

    def __call__(self, *arguments: str, **variables: t.Any) -> Ran:
        host = self.sim.hosts[0]
        known = {
            "template_build_hostname": host.url, "template_build_password": self.sim.password,
            "template_build_fingerprint": [host.fingerprint_sha256], "template_build_name": "Web", "template_build_delay": 1,
            "template_build_timeout": 1, "template_build_image": str(self.folder / "disk.img"),
            "template_build_customise": {"packages": ["nginx"]}, **variables,
        }  # fmt: skip
        play = {"hosts": "localhost", "gather_facts": False, "vars": {k: v for k, v in known.items() if v is not None}}
        book = self.folder / "build.yml"
        book.write_text(json.dumps([{**play, "roles": ["domzero.xen.template_build"]}]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run([program, str(book), *arguments], capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout + done.stderr)

    def names(self) -> list[str]:
        rows = self.sim.world.pools[0].db.all("VM").values()
        return sorted(r["name_label"] for r in rows if not r["is_control_domain"] and r["other_config"].get("default_template") != "true")

    def switch_off(self, name: str) -> None:
        host = self.sim.hosts[0]
        session = Session(Endpoint.parse(host.url, fingerprints=(host.fingerprint_sha256,)))
        session.log_in("root", self.sim.password)
        session.call("VM.hard_shutdown", session.call("VM.get_by_name_label", name)[0])
        session.log_out()


@pytest.fixture
def build(tmp_path: Path) -> t.Iterator[Build]:
    made = Build(tmp_path)
    yield made
    made.sim.stop()


def test_a_build_that_does_not_end_is_told_and_gone_on_with(build: Build) -> None:
    first = build()
    assert "has not switched itself off within 1 seconds" in " ".join(first.output.split())
    assert build.names() == ["Web (base)", "Web (customise)"]
    build.switch_off("Web (customise)")
    assert build().code == 0
    assert build.names() == ["Web"]
    again = build()
    assert (again.code, again.changed) == (0, 0), again.output


def test_check_mode_tells_what_it_would_begin_with(build: Build) -> None:
    mark = build.sim.mark()
    ran = build("--check")
    assert (ran.code, ran.changed) == (0, 1), ran.output
    assert [call["method"] for call in build.sim.calls(mark) if not call["method"].startswith("session")] == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"template_build_image": None}, "Give template_build_image"),
        ({"template_build_install": {"iso": "x.iso"}}, "Give template_build_image"),
        ({"template_build_image": None, "template_build_install": {"iso": "x.iso"}}, "with template_build_source"),
        ({"template_build_replace": True}, "is for an image that is not customised"),
        ({"template_build_image": "/nowhere.img"}, "cannot be read"),
    ],
)
def test_what_cannot_be_built_is_told(build: Build, variables: dict[str, t.Any], told: str) -> None:
    ran = build(**variables)
    assert ran.code != 0
    assert told in " ".join(ran.output.split())
    assert build.names() == []
