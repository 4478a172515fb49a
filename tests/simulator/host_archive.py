# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's control domain as an archive, and what becomes of one that is sent back (xen-api: ocaml/xapi/xapi_host_backup.ml).

A restore unpacks the archive onto the disk's second partition, no more: the host is as it was until somebody boots it from the
installation medium and chooses "Restore from Backup" (XenServer's administrator's guide, host-restore). Here that is ``from_medium``.
"""

from __future__ import annotations

import json
import random
import typing as t

from . import agent, fresh, software
from .disks import tar
from .disks.packing import BadPacking, pack, unpack
from .disks.pieces import Pieces
from .errors import Fault, Refusal
from .modeltypes import NULL
from .site_storage import LOCAL_SR_PARTITION

if t.TYPE_CHECKING:
    from .database import Record
    from .world import Machine

SIZE, PACKING = "dom0_bytes", "dom0_packing"  # in Machine.state: bytes of programs in the archive; gzip or zstd (else a plain tar)
PARTITION = "backup_partition"  # in Machine.state: what a restore has unpacked
PROGRAM = 8 << 20  # bytes of one of the files that make it large
INVENTORY, SOFTWARE = "./etc/xensource-inventory", "./var/xapi/software_version.json"


def files(machine: Machine) -> t.Iterator[tuple[str, bytes]]:
    """What the control domain holds, as far as anybody asks for it."""
    db, host = machine.pool.db, machine.host_record()
    pifs = [db.get("PIF", ref) for ref in host["PIFs"]]
    management = next((pif for pif in pifs if pif["management"]), None)
    domain = db.all("VM").get(host["control_domain"], {}).get("uuid", "")
    inventory = {
        "INSTALLATION_UUID": host["uuid"], "CONTROL_DOMAIN_UUID": domain,
        "MANAGEMENT_INTERFACE": db.get("network", management["network"])["bridge"] if management else "",
        "PRODUCT_BRAND": host["software_version"].get("product_brand", ""),
        "PRODUCT_VERSION": host["software_version"].get("product_version", ""),
    }  # fmt: skip
    yield INVENTORY, "".join(f"{key}='{value}'\n" for key, value in inventory.items()).encode()
    yield "./etc/hostname", f"{host['hostname']}\n".encode()
    yield SOFTWARE, json.dumps(host["software_version"], indent=1).encode()
    for pif in sorted(pifs, key=lambda pif: (pif["device"], pif["VLAN"])):
        if pif["VLAN"] < 0:
            yield f"./etc/sysconfig/network-scripts/ifcfg-{pif['device']}", _interface(pif)


def _interface(pif: Record) -> bytes:
    lines = {"DEVICE": pif["device"], "HWADDR": pif["MAC"], "BOOTPROTO": pif["ip_configuration_mode"].lower()}
    address = {"IPADDR": pif["IP"], "NETMASK": pif["netmask"], "GATEWAY": pif["gateway"]}
    lines |= {key: value for key, value in address.items() if value}
    return "".join(f"{key}={value}\n" for key, value in lines.items()).encode()


def stream(machine: Machine, fault: Fault | None) -> t.Iterator[bytes]:
    """The archive, packed as it is asked for. Raises the fault in its middle."""
    yield from pack(machine.state.get(PACKING, ""), _plain(machine, fault))


def _plain(machine: Machine, fault: Fault | None) -> t.Iterator[bytes]:
    with machine.world.lock:
        known = list(files(machine))
    for name, data in known:
        yield tar.entry(name, data)
    if fault:
        raise fault
    left, number = int(machine.state.get(SIZE, 0)), 0
    while left > 0:
        data = random.Random(f"{machine.name} {number}").randbytes(min(PROGRAM, left))
        yield tar.entry(f"./usr/lib/program-{number:04}", data)
        left, number = left - len(data), number + 1
    yield tar.END


def receive(machine: Machine, body: t.Iterator[bytes], fault: Fault | None) -> None:
    """Unpacks it. Raises RESTORE_SCRIPT_FAILED [log] for what is no archive of a host; what lay there before is gone then."""
    machine.state.pop(PARTITION, None)
    found: dict[str, str] = {}
    try:
        for file in tar.files(Pieces(unpack(body))):
            if file.name in (INVENTORY, SOFTWARE):
                found[file.name] = bytes(file.data).decode()
    except (EOFError, ConnectionError) as e:
        raise Fault("RESTORE_SCRIPT_FAILED", "tar: Unexpected EOF in archive\ntar: Error is not recoverable: exiting now\n") from e
    except (BadPacking, tar.NoTar, UnicodeDecodeError) as e:
        raise Fault("RESTORE_SCRIPT_FAILED", "tar: This does not look like a tar archive\n") from e
    if fault:
        raise fault
    if len(found) < 2:
        raise Fault("RESTORE_SCRIPT_FAILED", f"{INVENTORY}: No such file or directory\n")
    machine.state[PARTITION] = found


# the installation medium ---------------------------------------------------------------------------------------------
def from_medium(machine: Machine, *, restore: bool) -> None:
    """Somebody boots the host from the medium: it gets what lies on its second partition, or is installed anew. Raises Refusal."""
    if restore and PARTITION not in machine.state:
        raise Refusal(f"{machine.name} has no backup on its second partition")
    if not restore and machine.is_coordinator and len(machine.pool.machines) > 1:
        raise Refusal(f"{machine.name} is the coordinator of other hosts; install those first")
    if machine.power == "on":
        agent.agent_leaves(machine.world, machine.name, None, rebooted=True)
    if restore:
        software.put_on_disk(machine, json.loads(machine.state.pop(PARTITION)[SOFTWARE]))
    else:
        _install(machine)
    machine.power = "booting"
    machine.world.after(agent.boot_seconds(machine), "agent starts", machine=machine.name, rebooted=True)


def _install(machine: Machine) -> None:
    """A pool of its own, on formatted disks; a pool that is left behind without hosts is gone."""
    old, world = machine.pool, machine.world
    for place in world.storage.on(machine.name, "disk", LOCAL_SR_PARTITION):
        for disk in [name for repository in place.repositories.values() for name in repository.disks]:
            world.shelf.drop(disk)
    machine.pool = world.new_pool()
    machine.host_ref = NULL
    for key in (agent.STAYS_DISABLED, agent.STARTING, agent.LEAVING, PARTITION, software.NEXT):
        machine.state.pop(key, None)
    fresh.install(machine)
    if not old.machines:
        world.drop_pool(old)
