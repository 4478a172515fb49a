# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""community.general's xenserver_guest modules, as PyPI has them, work against simulated hosts: the stories of foreign_modules.yml."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.tests.bench import peer
from ansible_collections.domzero.xen.tests.bench.playbooks import Playbooks
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conversation import Asked

pytestmark = pytest.mark.slow

STORIES = yaml.safe_load(Path(__file__).with_name("foreign_modules.yml").read_text(encoding="utf-8"))
SR = "shared disks"
MODULES = ("xenserver_guest", "xenserver_guest_info", "xenserver_guest_powerstate")


@pytest.fixture(scope="module")
def simulator() -> t.Iterator[InProcess]:
    """One pool for all stories; it fails at the end if any of them broke an invariant."""
    with InProcess(site.build(site.load("examples"), speed=0)) as running:
        ask = Asked(running.world.pools[0].coordinator)
        config = {"server": "127.40.0.10", "serverpath": "/export/vms"}
        ask("SR.create", ask.host, config, 0, SR, "", "nfs", "user", True, {})
        yield running


def test_their_modules_do_what_they_do_on_real_hosts(simulator: InProcess) -> None:
    """All stories in one run, since most of its time goes into its start; a failure names its story as the play."""
    connection = {"hostname": simulator.hosts[0].url, "username": "root", "password": simulator.password, "validate_certs": False}
    defaults = {f"community.general.{module}": connection for module in MODULES}
    plays = [
        {"name": story, "hosts": "localhost", "gather_facts": False, "tasks": tasks, "module_defaults": defaults, "vars": {"sr": SR}}
        for story, tasks in STORIES.items()
    ]
    Playbooks(simulator, collections=[peer.collections()]).run_plays(plays)


def test_nothing_is_left_of_a_removed_vm(simulator: InProcess) -> None:
    db = simulator.world.pools[0].db
    assert not db.find("VM", name_label="story-create")
    assert not [vdi for vdi in db.all("VDI").values() if vdi["name_label"] in ("root", "data")]
