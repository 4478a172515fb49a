# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage of a freshly installed host: local, DVD drives, removable, tools (xen-api: ocaml/xapi/create_storage.ml)."""

from __future__ import annotations

import typing as t

from . import sr_operations, vdi_operations
from .site_storage import LOCAL_SR_PARTITION, SYSTEM_DISK, scsi_id
from .storage import Repository

if t.TYPE_CHECKING:
    from .world import Machine

TOOLS_DIRECTORY = "/opt/xensource/packages/iso"
TOOLS_ISO_SIZE = 134 << 20
DUMMY_SIZE = 2_000_000_000_000
UDEV = (
    ("DVD drives", "Physical DVD drives", "iso", "cd", "/dev/xapi/cd", "local-hotplug-cd"),
    ("Removable storage", "Physical removable storage", "disk", "block", "/dev/xapi/block", "local-hotplug-disk"),
)


def create_all(machine: Machine) -> None:
    """SRs with attached PBDs, their contents on the machine's disks; the pool's default SR if it has none."""
    if machine.state.get("builtin_storage", True):
        for row in UDEV:
            _create_udev(machine, *row)
        _create_tools(machine)
    local = {"ext": _create_local, "lvm": _create_local, "dummy": _create_dummy}.get(machine.local_storage)
    if local:
        _make_default(machine, local(machine))


def _sr(machine: Machine, device_config: dict[str, str], **fields: t.Any) -> str:
    db = machine.pool.db
    sr = db.create("SR", **fields)
    db.create("PBD", host=machine.host_ref, SR=sr, device_config=device_config, currently_attached=True)
    sr_operations.refresh(db, sr)
    return sr


def _named(key: str, name: str, description: str) -> dict[str, str]:
    return {"i18n-key": key, "i18n-original-value-name_label": name, "i18n-original-value-name_description": description}


def _create_udev(machine: Machine, name: str, description: str, content: str, kind: str, location: str, key: str) -> None:
    _sr(
        machine, {"location": location}, name_label=name, name_description=description, type="udev", content_type=content,
        sm_config={"type": kind}, other_config=_named(key, name, description),
    )  # fmt: skip


def _create_local(machine: Machine) -> str:
    place = machine.world.storage.on(machine.name, "disk", LOCAL_SR_PARTITION)[0]
    sr = _sr(
        machine, {"device": LOCAL_SR_PARTITION}, name_label="Local storage", type=machine.local_storage, content_type="user",
        physical_size=place.size, sm_config={"devserial": f"scsi-{scsi_id(machine.name, SYSTEM_DISK)}"},
        other_config={"i18n-key": "local-storage", "i18n-original-value-name_label": "Local storage"},
    )  # fmt: skip
    uuid = machine.pool.db.get("SR", sr)["uuid"]
    place.repositories.clear()  # the installer formats the partition
    place.repositories[uuid] = Repository(uuid, machine.local_storage, "Local storage")
    return sr


def _create_dummy(machine: Machine) -> str:
    return _sr(machine, {}, name_label="Local storage", type="dummy", content_type="user", physical_size=DUMMY_SIZE)


def _make_default(machine: Machine, sr: str) -> None:
    db, pool = machine.pool.db, machine.pool
    if not db.exists("SR", pool.pool["default_SR"]):
        db.set("pool", pool.pool_ref, default_SR=sr, suspend_image_SR=sr, crash_dump_SR=sr)
    if machine.local_storage in ("ext", "lvm"):
        db.set("host", machine.host_ref, suspend_image_sr=sr, crash_dump_sr=sr)


# the tools SR --------------------------------------------------------------------------------------------------------
def _create_tools(machine: Machine) -> None:
    """One per pool; every host has a PBD of it and the same ISO in a local directory."""
    db, tools = machine.pool.db, machine.product["tools"]
    directory = machine.world.storage.directory(machine.name, TOOLS_DIRECTORY)
    directory.images[tools["iso"]] = TOOLS_ISO_SIZE
    config = {"location": TOOLS_DIRECTORY, "legacy_mode": "true"}
    found = db.find("SR", is_tools_sr=True)
    if found:
        db.create("PBD", host=machine.host_ref, SR=found[0], device_config=config, currently_attached=True)
        return
    named = _named("xenserver-tools", tools["name"], tools["description"])
    sr = _sr(
        machine, config, name_label=tools["name"], name_description=tools["description"], type="iso", content_type="iso", shared=True,
        is_tools_sr=True, physical_size=TOOLS_ISO_SIZE, physical_utilisation=TOOLS_ISO_SIZE, virtual_allocation=TOOLS_ISO_SIZE,
        other_config={"xensource_internal": "true", "xenserver_tools_sr": "true", **named},
    )  # fmt: skip
    _create_tools_iso(machine, sr, tools["iso"])


def _create_tools_iso(machine: Machine, sr: str, iso: str) -> None:
    db = machine.pool.db
    vdi = db.create(
        "VDI", SR=sr, name_label=iso, location=iso, virtual_size=TOOLS_ISO_SIZE, physical_utilisation=TOOLS_ISO_SIZE, type="user",
        read_only=True, managed=True, is_tools_iso=True, sm_config={"xs-tools": "true", "xs-tools-version": "", "xs-tools-build": "0"},
    )  # fmt: skip
    vdi_operations.refresh(db, vdi)
