# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage repositories: making, finding, scanning, forgetting, destroying them. Rules: xen-api ocaml/xapi/xapi_sr.ml."""

from __future__ import annotations

import typing as t

from .. import sr_cleaning, sr_operations, sr_scan, storage_attach, tasks
from ..errors import Fault
from ..hosts import at_host
from . import message
from .pbd import make as make_pbd
from .pbd import refuse_internal_key
from .sr_types import Context, driver_of

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import Machine

UNKNOWN = -1  # sizes before the first scan
NO_PROBE = "Operation 'sr_probe' not supported by this SR type"


@message("SR.create")
def create(
    call: Call, host: str, device_config: dict[str, str], physical_size: int, name_label: str, name_description: str, type_: str,
    content_type: str, shared: bool, sm_config: dict[str, str],
) -> str:  # fmt: skip
    """Written to the storage by the coordinator (shared) or the given host, which alone get their errors back; the other hosts plug
    if they can. physical_size is not looked at."""
    if sr_operations.upgrading(call.db):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    refuse_internal_key(device_config)
    machine = call.pool.coordinator if shared else at_host(call, host)
    sr = _record(call, "", name_label, name_description, type_, content_type, shared, sm_config)
    hosts = sorted(call.db.all("host"), key=lambda h: h != machine.host_ref) if shared else [host]
    try:
        pbds = [make_pbd(call.db, sr, one, device_config) for one in hosts]
        working = storage_attach.context(machine, pbds[0])
        driver_of(call.db, working.type).create(working)
    except Fault:
        storage_attach.forget_sr(call.db, sr)
        raise
    for pbd in pbds:
        _plug_if_possible(call, pbd)
    return sr


def _plug_if_possible(call: Call, pbd: str) -> None:
    """As a task of its own; whoever wants to know how it went looks at the PBD."""
    task = tasks.create(call, "Async.PBD.plug")
    try:
        storage_attach.attach(at_host(call, call.db.get("PBD", pbd)["host"]), pbd)
        tasks.finish(call.db, task, call.world.clock.iso(), "success", result="<value></value>")
    except Fault as fault:
        tasks.finish(call.db, task, call.world.clock.iso(), "failure", error_info=fault.description)


def _record(
    call: Call, uuid: str, name_label: str, name_description: str, type_: str, content_type: str, shared: bool, sm_config: dict[str, str]
) -> str:
    sr = call.db.create(
        "SR", **({"uuid": uuid} if uuid else {}), name_label=name_label, name_description=name_description, type=type_.lower(),
        content_type=content_type, shared=shared, sm_config=sm_config, physical_size=UNKNOWN, physical_utilisation=UNKNOWN,
    )  # fmt: skip
    sr_operations.refresh(call.db, sr)
    return sr


@message("SR.introduce")
def introduce(
    call: Call, uuid: str, name_label: str, name_description: str, type_: str, content_type: str, shared: bool, sm_config: dict[str, str]
) -> str:
    """Only a record: no PBD, sizes unknown; nobody looks whether such an SR is anywhere."""
    if uuid and call.db.find("SR", uuid=uuid):
        raise Fault("SR_UUID_EXISTS", uuid)
    return _record(call, uuid, name_label, name_description, type_, content_type, shared, sm_config)


@message("SR.make")
def make(call: Call, *_arguments: object) -> None:
    """Left over from the oldest releases."""
    raise Fault("MESSAGE_DEPRECATED")


# looking -------------------------------------------------------------------------------------------------------------
@message("SR.probe")
def probe(call: Call, host: str, device_config: dict[str, str], type_: str, sm_config: dict[str, str]) -> str:
    """The driver's XML; when something is missing, its list is the last parameter of the error."""
    driver = driver_of(call.db, type_.lower())
    machine = at_host(call, host)
    if "SR_PROBE" not in sr_operations.features(call.db, type_.lower()):
        raise Fault("SR_BACKEND_FAILURE", NO_PROBE, "", "")
    return driver.probe(Context(machine, type_.lower(), device_config, sm_config))


@message("SR.probe_ext")
def probe_ext(call: Call, host: str, device_config: dict[str, str], type_: str, sm_config: dict[str, str]) -> list[dict[str, t.Any]]:
    """Only SMAPIv3 drivers answer; all drivers here are SMAPIv1."""
    driver_of(call.db, type_.lower())
    at_host(call, host)
    raise Fault("SR_OPERATION_NOT_SUPPORTED")


@message("SR.get_supported_types")
def get_supported_types(call: Call) -> list[str]:
    """Types with a driver."""
    return [sm["type"] for sm in call.db.all("SM").values()]


@message("SR.scan")
def scan(call: Call, sr: str) -> None:
    """Needs a plugged PBD."""
    with sr_operations.running(call, sr, "scan"):
        machine, pbd = storage_attach.working_machine(call.machine, sr)
        working = storage_attach.context(machine, pbd)
        found = driver_of(call.db, working.type)
        sr_scan.scan(machine, sr, found, working)
        sr_cleaning.kick(found, working)


@message("SR.update")
def update(call: Call, sr: str) -> None:
    """Sizes anew; beside whatever else runs, and for every driver (xen-api: ocaml/xapi/message_forwarding.ml)."""
    call.db.get("SR", sr)
    machine, pbd = storage_attach.working_machine(call.machine, sr)
    working = storage_attach.context(machine, pbd)
    sr_scan.update_sizes(call.db, sr, driver_of(call.db, working.type), working)


# going ---------------------------------------------------------------------------------------------------------------
@message("SR.forget")
def forget(call: Call, sr: str) -> None:
    """The records go, with PBDs and VDIs; the data stays."""
    sr_operations.check(call.db, sr, "forget")
    storage_attach.forget_sr(call.db, sr)


@message("SR.destroy")
def destroy(call: Call, sr: str) -> None:
    """The SR is removed from its storage, then forgotten."""
    sr_operations.check(call.db, sr, "destroy")
    record = call.db.get("SR", sr)
    if record["other_config"].get("indestructible") == "true":
        raise Fault("SR_INDESTRUCTIBLE", sr)
    for host, of_host in call.db.all("host").items():
        if of_host["local_cache_sr"] == sr:
            raise Fault("SR_IS_CACHE_SR", host)
    with sr_operations.running(call, sr, "destroy"):
        machine, pbd = _destroyer(call, sr)
        working = storage_attach.context(machine, pbd)
        driver = driver_of(call.db, working.type)
        driver.attach(working)
        driver.delete(working)
        storage_attach.forget_sr(call.db, sr)


def _destroyer(call: Call, sr: str) -> tuple[Machine, str]:
    """The coordinator if it has a PBD, else the first host that has one."""
    pbds = {call.db.get("PBD", pbd)["host"]: pbd for pbd in call.db.get("SR", sr)["PBDs"]}
    host = call.pool.pool["master"] if call.pool.pool["master"] in pbds else next(iter(pbds))
    return at_host(call, host), pbds[host]
