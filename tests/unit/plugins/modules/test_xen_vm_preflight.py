# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of VMs is looked at before anything is touched."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.tests.unit.plugins.conftest import open_sessions

Run = t.Any
MEDIA = "Other install media"
MAC = "02:16:3e:5c:00:11"


@pytest.fixture
def look(pool: t.Any, run: Run) -> t.Any:
    """What preflight tells, alike in check mode; nothing is changed and no session stays open."""

    def look(*vms: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
        sim = pool()
        mark, before = sim.mark(), open_sessions(sim)
        told = run("xen_vm_preflight", vms=list(vms), **more)
        assert run("xen_vm_preflight", check=True, vms=list(vms), **more) == told
        assert told.get("failed", False) is bool(told["problems"])
        assert sim.calls(mark) == []
        assert open_sessions(sim) == before
        return t.cast("dict[str, t.Any]", told)

    return look


def test_what_a_vm_would_do_is_told_in_the_words_of_its_module(look, run):
    told = look({"name": "web", "template": MEDIA, "memory": "2 GiB"})
    assert told["vms"][0]["operations"] == run("xen_vm", check=True, name="web", template=MEDIA, memory="2 GiB")["operations"]
    assert told["rounds"] == [[0]]


def test_a_vm_that_is_as_described_has_no_round(look, run):
    uuid = run("xen_vm", name="web", template=MEDIA)["vm"]["uuid"]
    told = look({"name": "web", "template": MEDIA}, {"name": "db", "template": MEDIA})
    assert told["vms"][0] == {"name": "web", "uuid": uuid, "changed": False, "operations": []}
    assert told["rounds"] == [[1]]


def test_one_that_is_to_be_waited_for_has_a_round_though_nothing_changes(look, run):
    run("xen_vm", name="web", template=MEDIA, power_state="running")
    assert look({"name": "web", "wait_for": "tools"})["rounds"] == [[0]]


def test_a_refusal_is_the_sentence_of_the_module_and_all_are_told(look, run):
    with pytest.raises(XenError) as refused:
        run("xen_vm", name="web", template="Plan 9")
    told = look({"name": "web", "template": "Plan 9"}, {"name": "db", "template": MEDIA, "colour": "blue"}, {"template": MEDIA})
    assert len(told["problems"]) == 3
    assert str(refused.value) in told["problems"][0]
    assert "colour" in told["problems"][1]
    assert "VM 'db'" in told["problems"][1]
    assert "name, uuid" in told["problems"][2]


@pytest.mark.parametrize(
    ("vms", "absent", "says"),
    [
        ([{"name": "web"}, {"name": "web"}], [], "VM 'web' is described 2 times."),
        ([{"name": "web"}], [{"name": "web"}], "VM 'web' is described, and is to be absent too."),
        (
            [{"name": "web", "nics": [{"mac": MAC}]}, {"name": "db", "nics": [{"mac": MAC.upper()}]}],
            [],
            f"The MAC address {MAC} is given to web and db.",
        ),
        ([{"name": "a", "from_vm": "b"}, {"name": "b", "from_vm": "a"}], [], "VM 'a' is to be made from itself (a from b from a)."),
    ],
)
def test_a_contradiction_in_the_list_is_told(look, vms, absent, says):
    told = look(*[{"template": MEDIA, **vm} if "from_vm" not in vm else vm for vm in vms], absent=absent)
    assert says in told["problems"]


def test_a_vm_comes_after_the_one_it_is_made_from_and_lower_orders_come_first(look):
    vms = [
        {"name": "copy", "from_vm": "web"},
        {"name": "web", "template": MEDIA, "order": 2},
        {"name": "db", "template": MEDIA, "order": 1},
        {"name": "app", "template": MEDIA, "order": 2},
        {"name": "cache", "template": MEDIA, "order": 2},
    ]
    assert look(*vms, parallel=1)["rounds"] == [[2], [1], [3], [4], [0]]
    assert look(*vms, parallel=2)["rounds"] == [[2], [1, 3], [4], [0]]
    assert look(*vms)["rounds"] == [[2], [1, 3, 4], [0]]


def test_appliances_and_groups_that_are_made_before_are_as_if_they_were_there(look, run):
    entry = {"name": "web", "template": MEDIA, "appliance": "shop", "groups": ["apart"]}
    assert len(look(entry)["problems"]) == 1
    told = look(entry, appliances=["shop"], groups=["apart"])
    assert told["problems"] == []
    run("xen_appliance", name="shop")
    run("xen_vm_group", name="apart")
    assert told["vms"][0]["operations"] == run("xen_vm", **entry)["operations"]


def test_of_a_vm_whose_template_is_made_before_nothing_is_said(look):
    entry = {"name": "web", "template": "Debian 12 cloud"}
    assert len(look(entry)["problems"]) == 1
    told = look(entry, templates=["Debian 12 cloud"])
    assert (told["problems"], told["vms"]) == ([], [{"name": "web", "changed": True, "operations": []}])


def test_vms_that_fit_one_by_one_and_not_together_are_told(look, run):
    vms = [{"name": f"vm{n}", "template": MEDIA, "memory": "24 GiB", "power_state": "running"} for n in range(9)]
    assert look(vms[0])["problems"] == []
    (told,) = look(*vms)["problems"]
    assert "(vm0, vm1, vm2, vm3, vm4, vm5, vm6, vm7, vm8) need 216 GiB" in told
    run("xen_vms", vms=vms[:4])
    assert look(*vms[:4])["problems"] == []


def test_what_goes_before_makes_room(look, run):
    old = {
        "memory": "40 GiB",
        "template": MEDIA,
        "power_state": "running",
        "nics": [{"mac": MAC, "network": "Pool-wide network associated with eth0"}],
    }
    run("xen_vms", vms=[{**old, "name": "old"}, {"name": "other", "template": MEDIA, "memory": "40 GiB", "power_state": "running"}])
    assert "MAC address" in look({**old, "name": "new"})["problems"][0]
    assert "40.01 GiB of memory" in look({**old, "name": "new", "nics": []})["problems"][0]
    gone = {"name": "old", "allow_disruption": True, "force": True}
    assert look({**old, "name": "new"}, absent=[gone])["problems"] == []
    assert run("xen_vms", vms=[{**old, "name": "new"}], absent=[gone])["vms"][0]["changed"] is True


def test_one_that_is_to_go_is_tried_too(look, run):
    run("xen_vm", name="old", template=MEDIA)
    told = look(absent=[{"name": "old"}, {"name": "gone already"}])
    assert [row["changed"] for row in told["absent"]] == [True, False]
    run("xen_snapshot", vm="old", name="before")
    assert "snapshot" in look(absent=[{"name": "old"}])["problems"][0]


def test_none_at_a_time_is_refused(run):
    with pytest.raises(XenError, match="At least one VM"):
        run("xen_vm_preflight", vms=[], parallel=0)
