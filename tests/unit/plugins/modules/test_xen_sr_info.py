# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from .sr_lab import CHAP, ISOS, NFS, Run, forget_pbd, lab, unplug

__all__ = ["lab"]


def test_srs_are_listed_by_name_in_the_words_of_the_options(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS, default=True)
    told = run("xen_sr_info")
    names = [sr["name"] for sr in told["srs"]]
    assert names == sorted(names)
    (sr,) = [sr for sr in told["srs"] if sr["name"] == "VMs"]
    assert {k: sr[k] for k in ("type", "server", "path", "shared", "default", "attach")} == {
        "type": "nfs", "server": "127.60.0.10", "path": "/export/vms", "shared": True, "default": True, "attach": "all",
    }  # fmt: skip
    assert "device_config" not in sr


def test_sizes_and_attachment_stand_beside_by_uuid(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    unplug(lab, "VMs", "xcp01")
    told = run("xen_sr_info", name="VMs")
    facts = told["facts"][told["srs"][0]["uuid"]]
    assert facts["physical_size"] == 1 << 40
    assert facts["attachment"] == {"xcp00": True, "xcp01": False}


def test_one_sr_is_asked_for_by_uuid(lab: t.Any, run: Run) -> None:
    uuid = run("xen_sr_info", name="Local storage")["srs"][1]["uuid"]
    assert [sr["uuid"] for sr in run("xen_sr_info", uuid=uuid)["srs"]] == [uuid]


def test_an_unknown_name_is_an_empty_list(lab: t.Any, run: Run) -> None:
    assert run("xen_sr_info", name="Nothing")["srs"] == []


def test_every_entry_can_be_handed_back_and_changes_nothing(lab: t.Any, run: Run) -> None:
    for task in (NFS, CHAP, ISOS):
        run("xen_sr", **task)
    unplug(lab, "VMs", "xcp01")
    forget_pbd(lab, "San", "xcp00")
    forget_pbd(lab, "ISOs", "xcp00", "xcp01")
    mark = lab.mark()
    for sr in run("xen_sr_info")["srs"]:
        done = run("xen_sr", **sr)
        assert done["changed"] is False, sr
        assert {k: v for k, v in done["sr"].items() if k != "uuid"} == {k: v for k, v in sr.items() if k != "uuid"}
    assert lab.calls(mark) == []


def test_a_listing_of_any_length_takes_the_same_requests(lab: t.Any, run: Run, request: pytest.FixtureRequest) -> None:
    from ansible_collections.domzero.xen.plugins.module_utils.module import listing
    from ansible_collections.domzero.xen.plugins.module_utils.resources.sr.resource import Sr

    session = request.getfixturevalue("session")
    counts = []
    for task in (NFS, CHAP):
        run("xen_sr", **task)
        before = session.requests
        listing(Sr(session, {}))
        counts.append(session.requests - before)
    assert counts[0] == counts[1] <= 4
