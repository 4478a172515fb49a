# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task cut off at any of its changing calls, before or after it took effect: it or the next run ends as if nothing had been."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError

from .sr_lab import CHAP, ISOS, LAB, NFS, Run, db_of, forget_sr

pytestmark = pytest.mark.slow

Prepare = t.Callable[[t.Any, Run], t.Any]
BEFORE, AFTER = "cut_before_change", "cut_after_change"


def nothing(_sim: t.Any, _run: Run) -> None:
    pass


def forgotten(sim: t.Any, run: Run) -> None:
    forget_sr(sim, run, CHAP)


def there(_sim: t.Any, run: Run) -> None:
    run("xen_sr", **NFS, default=True)


STORIES: dict[str, tuple[Prepare, dict[str, t.Any]]] = {
    "created": (nothing, {**CHAP, "tags": ["a"], "default": True}),
    "found by its lun": (forgotten, {**CHAP, "scsi_id": None, "lun": 7, "other_config": {"a": "b"}}),
    "a library": (nothing, ISOS),
    "a local one": (nothing, {"name": "Scratch", "type": "ext", "device": "/dev/sdb", "host": "xcp01"}),
    "moved": (there, {**NFS, "options": "hard", "allow_disruption": True}),
    "forgotten": (there, {"name": "VMs", "state": "forgotten"}),
    "destroyed": (there, {"name": "VMs", "state": "absent"}),
}


def state_of(sim: t.Any) -> t.Any:
    """What is there, without references and uuids."""
    db = db_of(sim)

    def plain(config: dict[str, str]) -> list[tuple[str, str]]:
        return sorted((k, db.get("secret", db.one("secret", uuid=v))["value"] if k.endswith("_secret") else v) for k, v in config.items())

    return [
        sorted((sr["name_label"], sr["type"], sr["shared"], tuple(sr["tags"]), str(sr["other_config"])) for sr in db.all("SR").values()),
        sorted(
            (
                db.get("SR", pbd["SR"])["name_label"],
                db.get("host", pbd["host"])["name_label"],
                pbd["currently_attached"],
                plain(pbd["device_config"]),
            )
            for pbd in db.all("PBD").values()
        ),
        len(db.all("secret")),
        sim.world.pools[0].pool["default_SR"] == "OpaqueRef:NULL",
        sorted((place.kind, place.path, len(place.repositories)) for place in sim.world.storage.places()),
    ]


@pytest.mark.parametrize("how", [BEFORE, AFTER])
@pytest.mark.parametrize("story", STORIES)
def test_wherever_a_task_is_cut_off_it_ends_the_same(story: str, how: str, simulator: t.Any, run: Run) -> None:
    prepare, task = STORIES[story]
    whole = simulator(LAB)
    prepare(whole, run)
    mark = whole.mark()
    run("xen_sr", **task)
    calls = len(whole.calls(mark))
    assert calls
    for n in range(1, calls + 1):
        sim = simulator(LAB)
        prepare(sim, run)
        getattr(sim.faults, how)(n)
        with contextlib.suppress(XenError):
            run("xen_sr", **task)
        sim.faults.clear()
        run("xen_sr", **task)
        assert state_of(sim) == state_of(whole), f"cut off at call {n}"
        assert run("xen_sr", **task)["changed"] is False


def test_a_creation_that_is_still_under_way_is_waited_for(simulator: t.Any, run: Run, request: pytest.FixtureRequest) -> None:
    """The run that started it lost its answer; another SR of the name would be a duplicate."""
    sim = simulator(LAB, speed=100)
    sim.faults.slow("SR.create", 100)
    db, session = db_of(sim), request.getfixturevalue("session")
    config = {"server": NFS["server"], "serverpath": NFS["path"]}
    session.call("Async.SR.create", db.one("host", name_label="xcp00"), config, 0, "VMs", "", "nfs", "user", True, {})
    assert not db.find("SR", name_label="VMs")
    done = run("xen_sr", **NFS)
    assert (done["changed"], done["sr"]["uuid"]) == (False, db.get("SR", db.one("SR", name_label="VMs"))["uuid"])
