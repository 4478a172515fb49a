# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description that is sent is that of the VM at rest, with the disks that are wanted and nothing of its passing state."""

from __future__ import annotations

import re
import typing as t
import xmlrpc.client

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.formats import ova
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore.description import RESTORING, Wishes, edited

from ..formats.exports import VERSION

NULL = ova.NULL
MARK = {RESTORING: "id web02"}
OURS = {"domzero.xen:restored": "old", "domzero.xen:backup": "x", "domzero.xen:import": "y", "import_task": "OpaqueRef:1", "kept": "1"}


def described(**vm: t.Any) -> bytes:
    record = {
        "uuid": "snapshot", "name_label": "web01 as of noon", "is_a_snapshot": False, "is_a_template": True, "power_state": "Running",
        "suspend_VDI": "Ref:6", "snapshot_of": NULL, "VBDs": ["Ref:2", "Ref:3"], "VIFs": ["Ref:7"], "tags": [], "order": "0",
        "other_config": OURS, "snapshots": [], "current_operations": {"OpaqueRef:9": "export"}, **vm,
    }  # fmt: skip
    drive = {"VM": "Ref:0", "type": "Disk", "currently_attached": True}
    disk = {"virtual_size": "512", "other_config": {"domzero.xen:restoring": "old"}}
    rows = [
        ("VM", "Ref:0", record),
        ("VM", "Ref:1", {**record, "is_a_snapshot": True}),
        ("VBD", "Ref:2", {**drive, "userdevice": "0", "VDI": "Ref:4"}),
        ("VBD", "Ref:3", {**drive, "userdevice": "1", "VDI": "Ref:5"}),
        *[("VDI", ref, disk) for ref in ("Ref:4", "Ref:5", "Ref:6")],
        ("VIF", "Ref:7", {"VM": "Ref:0", "device": "0", "network": NULL, "currently_attached": True}),
        ("VBD", "Ref:8", {**drive, "VM": "Ref:1", "userdevice": "0", "VDI": "Ref:4"}),
    ]
    objects = [{"class": cls, "id": ref, "snapshot": row} for cls, ref, row in rows]
    text = xmlrpc.client.dumps(({"version": VERSION, "objects": objects},))
    return re.sub(r"</?(string|params|param)>", "", text).strip().encode()


def sent(text: bytes, **wishes: t.Any) -> ova.Ova:
    return ova.parse(edited(text, Wishes(**{"devices": ["0", "1"], "mark": "id web02", **wishes})))


def test_it_is_at_rest_and_marked() -> None:
    made = sent(described(), name="web02")
    (vm,) = made.all("VM").values()
    assert (vm["name_label"], vm["power_state"], vm["suspend_VDI"], vm["current_operations"]) == ("web02", "Halted", NULL, {})
    assert vm["other_config"] == {"kept": "1", RESTORING: "id web02"}
    assert [(ref, row["other_config"]) for ref, row in made.all("VDI").items()] == [(ref, MARK) for ref in ("Ref:4", "Ref:5")]
    assert not any(row["currently_attached"] for cls in ("VBD", "VIF") for row in made.all(cls).values())
    assert set(made.all("VBD")) == {"Ref:2", "Ref:3"}, "the drives of its snapshot are not its own"


def test_only_what_is_wanted_is_there() -> None:
    made = sent(described(), devices=["1"], bare=True, sizes={"1": 1024})
    assert (set(made.all("VBD")), set(made.all("VIF")), made.disks()) == ({"Ref:3"}, set(), {"Ref:5": 1024})
    assert made.get("VM", "Ref:0")["VBDs"] == ["Ref:3"]


def test_one_that_sleeps_keeps_its_memory_unless_it_is_to_be_awake() -> None:
    asleep = described(power_state="Suspended")
    assert sent(asleep).get("VM", "Ref:0")["suspend_VDI"] == "Ref:6"
    assert sent(asleep).get("VDI", "Ref:6")["other_config"] == {RESTORING: "id web02"}
    assert sent(asleep, awake=True).disks() == {"Ref:4": 512, "Ref:5": 512}


def test_a_snapshot_becomes_the_vm_it_is_of() -> None:
    own = described(
        uuid="web", name_label="web01", is_a_template=False, tags=["a"], order="3", other_config={"own": "1"}, power_state="Running"
    )
    vm = sent(described(), own=own).get("VM", "Ref:0")
    assert (vm["uuid"], vm["name_label"], vm["is_a_template"], vm["tags"], vm["order"]) == ("web", "web01", False, ["a"], "3")
    assert vm["other_config"] == {"own": "1", RESTORING: "id web02"}


def test_one_without_a_vm_is_refused() -> None:
    text = described().replace(b"<value>VM</value>", b"<value>host</value>")
    with pytest.raises(Damaged, match="holds no VM"):
        sent(text)
