# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: the file that xen_pool_describe writes, given to the role on the same pool."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.domzero.xen.tests.bench.playbooks import Playbooks
from ansible_collections.domzero.xen.tests.simulator import load_db, site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.world import World
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

pytestmark = pytest.mark.slow

DATABASES = sorted((CHECKOUT / "tests/simulator/data/state-dbs").glob("*.xml"))


@pytest.fixture
def served() -> t.Iterator[t.Callable[[World], InProcess]]:
    started: list[InProcess] = []

    def serve(world: World) -> InProcess:
        started.append(InProcess(world).start())
        return started[-1]

    yield serve
    for one in started:
        one.stop()


def build(sim: InProcess, variables: Path) -> None:
    """Runs the role with a file of variables."""
    way_in = {"pool_build_password": sim.password, "pool_build_fingerprint": [host.fingerprint_sha256 for host in sim.hosts]}
    play = {"hosts": "localhost", "gather_facts": False, "roles": ["domzero.xen.pool_build"], "vars": way_in}
    Playbooks(sim).run_plays([play], args=["-e", f"@{variables}", "-e", f"simulator_port={sim.hosts[0].port}"])


def describe(sim: InProcess, dest: Path) -> None:
    Playbooks(sim).run({"domzero.xen.xen_pool_describe": {"dest": str(dest)}})


@pytest.mark.parametrize("name", ["homogeneous", "heterogeneous"])
def test_a_pool_that_the_role_has_built_is_left_alone_by_its_own_description(served, tmp_path, name):
    sim = served(site.build(site.load(name), speed=0))
    (shipped,) = (CHECKOUT / "playbooks/inventories" / name / "host_vars").glob("*.yml")
    build(sim, shipped)
    describe(sim, tmp_path / "as_it_is.yml")
    told = yaml.safe_load((tmp_path / "as_it_is.yml").read_text())
    wanted = yaml.safe_load(shipped.read_text())
    for part in ("hosts", "networks", "storage"):
        assert {e["name"] for e in wanted[f"pool_build_{part}"]} <= {e["name"] for e in told[f"pool_build_{part}"]}
    mark = sim.mark()
    build(sim, tmp_path / "as_it_is.yml")
    assert sim.calls(mark) == []


@pytest.mark.parametrize("database", DATABASES, ids=lambda path: path.stem)
def test_a_real_pool_is_left_alone_by_its_own_description(served, tmp_path, database):
    dump = load_db.parse(database.read_bytes())
    sim = served(load_db.world_of(dump, speed=0, release=None, username="root", password="xapi-test"))
    describe(sim, tmp_path / "as_it_is.yml")
    assert sim.calls() == []
    build(sim, tmp_path / "as_it_is.yml")
    assert sim.calls() == []
