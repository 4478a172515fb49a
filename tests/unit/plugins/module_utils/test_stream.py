# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files to and from a host: whom they go to, what is told meanwhile, what remains."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import stream
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, Timeout, Untrusted, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import Pieces
from ansible_collections.domzero.xen.plugins.module_utils.http_transfer import elsewhere
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint

from ..conftest import Start
from ..modules.transfer_lab import MIB, Estate


@pytest.fixture
def far(simulator: Start, session_to: t.Callable[[t.Any], Session]) -> Estate:
    """far is a VM whose disk only a member sees."""
    sim = simulator(2)
    estate = Estate(sim, session_to(sim))
    plain = {"name_label": "far", "virtual_size": 3 * MIB, "type": "user", "sharable": False, "read_only": False, "other_config": {}}
    estate.attach(estate.vm("far"), estate.call("VDI.create", {**plain, "SR": estate.local_sr(of_a_member=True)}), 0)
    return estate


def get(estate: Estate, target: Path, vm: str = "far", **more: t.Any) -> stream.Moved:
    return stream.download(estate.session, "/export", {"ref": estate.db.one("VM", name_label=vm)}, target, what=f"Export of {vm}", **more)


def test_a_transfer_follows_to_the_host_that_has_the_storage(far: Estate, tmp_path: Path) -> None:
    moved = get(far, tmp_path / "far.xva")
    data = (tmp_path / "far.xva").read_bytes()
    assert (moved.size, moved.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_host_it_is_sent_to_has_to_be_trusted_as_well(far: Estate, tmp_path: Path) -> None:
    known = far.session.endpoint.fingerprints
    far.session.endpoint = replace(far.session.endpoint, fingerprints=(far.sim.hosts[0].fingerprint_sha256,))
    with pytest.raises(Untrusted, match="is not a pinned one"):
        get(far, tmp_path / "far.xva")
    assert list(tmp_path.iterdir()) == []
    far.session.endpoint = replace(far.session.endpoint, fingerprints=known)
    assert not [task for task in far.db.all("task").values() if task["name_label"] == "Export of far"]


def test_a_redirect_does_not_give_up_encryption() -> None:
    here = Endpoint.parse("https://a:8443", fingerprints=("0" * 64,))
    there = elsewhere(here, "https://b/export?x=1")
    assert (there.host, there.port, there.tls, there.fingerprints) == ("b", 443, True, here.fingerprints)
    for location in ("http://b/export", "/export", "", "ftp://b/"):
        with pytest.raises(ConnectionFailed, match="no safe address"):
            elsewhere(here, location)


def test_the_task_is_seen_on_the_pool_while_it_lasts(far: Estate, tmp_path: Path) -> None:
    seen: list[tuple[int, list[str]]] = []

    def look(size: int) -> None:
        seen.append((size, [task["name_label"] for task in far.db.all("task").values()]))

    moved = get(far, tmp_path / "x.xva", "web01", progress=look)
    sizes = [size for size, _names in seen]
    assert sizes == sorted(sizes)
    assert sizes[-1] <= moved.size
    assert "Export of web01" in seen[0][1]
    assert "Export of web01" not in [task["name_label"] for task in far.db.all("task").values()]


def test_who_watches_is_told_how_far_it_is(far: Estate, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    moved: list[int] = []

    def watch(what: str, reached: float, size: int = 0) -> None:
        told.append((what, reached))
        moved.append(size)

    far.session.watch = watch
    get(far, tmp_path / "x.xva", "web01")
    assert told and {what for what, _reached in told} == {"Export of web01"}
    assert all(0 <= reached <= 1 for _what, reached in told)
    told.clear()
    put(far, vdi(far, 2 * MIB), Pieces([bytes(2 * MIB)]), 2 * MIB)
    assert ("Upload", 0.5) in told and ("Upload", 1.0) in told
    assert {MIB, 2 * MIB} <= set(moved)


def test_it_takes_the_time_it_may_take(far: Estate, tmp_path: Path) -> None:
    with pytest.raises(Timeout, match=r"Export of web01 had moved .* after 0 seconds and was ended"):
        get(far, tmp_path / "x.xva", "web01", timeout=0.0)
    assert list(tmp_path.iterdir()) == []


def vdi(estate: Estate, size: int = MIB) -> str:
    return estate.vdi("target", size=size)


def put(estate: Estate, target: str, source: t.Any, size: int) -> stream.Moved:
    return stream.upload(estate.session, "/import_raw_vdi", {"vdi": target, "format": "raw"}, source, size, what="Upload")


def test_what_is_made_while_it_is_sent_arrives(far: Estate) -> None:
    target = vdi(far, 2 * MIB)
    data = bytes(range(256)) * (2 * MIB // 256)
    moved = put(far, target, Pieces([data[:1000], data[1000:]]), len(data))
    assert moved.sha256 == hashlib.sha256(data).hexdigest()
    assert far.sim.disks.read(far.record(target, "VDI")["uuid"]) == data


def test_less_or_more_than_announced_is_refused(far: Estate) -> None:
    for size in (MIB - 512, MIB + 512):
        with pytest.raises(XenError, match="announced"):
            put(far, vdi(far, 2 * MIB), Pieces([bytes(MIB)]), size)


def test_the_reason_of_the_pool_is_told(far: Estate, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(8 * MIB))
    with pytest.raises((ApiError, ConnectionFailed)) as error:
        put(far, vdi(far, 2 * MIB), tmp_path / "large", 8 * MIB)
    assert "Upload" in error.value.message
    with pytest.raises(XenError, match="no cannot be read: No such file"):
        put(far, vdi(far), tmp_path / "no", 5)
    assert not far.db.find("task", name_label="Upload")
