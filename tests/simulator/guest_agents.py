# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools in a guest: when they answer, what they report, whether they listen (xen-api: ocaml/xapi/xapi_guest_agent.ml).

Where the site says ``guests: {agent: true}`` every VM that has something to boot starts its tools some seconds after the guest; elsewhere
(as on the recorded hosts) only one that has an address given. A VM's own ``xenstore_data`` has the last word:

* ``vm-data/sim-agent``: the address of the first card; ``none``: there are no tools
* ``vm-data/sim-boot``: seconds until the tools answer
* ``vm-data/sim-shutdown``: seconds the guest needs to shut down; ``ignore``: it never does
* ``vm-data/sim-suspend``: seconds until the guest is ready to be suspended or to move; ``ignore``: it never is
* ``vm-data/sim-writes``: what it writes to its disks by itself (guest_writes.py)
"""

from __future__ import annotations

import ipaddress
import typing as t
import zlib

from . import guest_writes, guests, vm_running
from .agenda import scheduled
from .errors import Fault
from .guest_systems import os_version

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .dispatch import Call
    from .world import Pool, World

NONE, IGNORE = "none", "ignore"
BOOT, SHUTDOWN, SUSPEND = "vm-data/sim-boot", "vm-data/sim-shutdown", "vm-data/sim-suspend"
USUAL_SHUTDOWN = 5.0
ACKNOWLEDGE = 60.0  # seconds a guest has to say that it heard (xapi.conf: domain_shutdown_ack_timeout)
LONGEST_SHUTDOWN = 1200.0  # seconds until nobody waits any more (domain_shutdown_total_timeout)
SUBNETS = 4  # bits: the site's guest network holds 16 subnets, one for each bridge
FEATURES = {f"feature-{name}": "1" for name in ("shutdown", "reboot", "suspend", "vcpu-hotplug", "balloon", "poweroff")}


class Guests(t.NamedTuple):
    """What a site says about its guests."""

    agent: bool = False
    boot_seconds: int = 20
    network: str = "10.40.0.0/16"


def explicit(record: Record) -> str:
    """The address the VM's owner gave; "" for none."""
    found = str(record["xenstore_data"].get(guests.AGENT, ""))
    return "" if found == NONE else found


def has_tools(world: World, db: Database, record: Record) -> bool:
    """Whether tools will answer once the guest has booted."""
    if record["xenstore_data"].get(guests.AGENT) == NONE:
        return False
    return bool(explicit(record)) or (world.guests.agent and _boots(db, record))


def _boots(db: Database, record: Record) -> bool:
    """Whether there is something to boot: a disk or a kernel."""
    return bool(record["PV_kernel"]) or any(db.get("VBD", vbd)["type"] == "Disk" for vbd in record["VBDs"])


def boot_seconds(world: World, record: Record) -> float:
    """How long after the start the tools answer."""
    given = record["xenstore_data"].get(BOOT)
    return float(given) if given is not None else float(world.guests.boot_seconds if world.guests.agent else 0)


def woken(world: World, db: Database, vm: str) -> None:
    """The guest's processors turn: its tools answer some time later, or at once if they were there before."""
    record = db.get("VM", vm)
    guest_writes.begin(world, record)
    if not has_tools(world, db, record) or not db.exists("VM_guest_metrics", record["guest_metrics"]):
        return
    seconds = 0.0 if db.get("VM_guest_metrics", record["guest_metrics"])["PV_drivers_detected"] else boot_seconds(world, record)
    if seconds and world.clock.speed:
        world.after(seconds, "guest agent answers", pool=_pool(world, db).name, vm=vm, boot=record["guest_metrics"])
    else:
        report(world, db, vm)


def _pool(world: World, db: Database) -> Pool:
    return next(pool for pool in world.pools if pool.db is db)


@scheduled("guest agent answers")
def answers(world: World, pool: str, vm: str, boot: str) -> None:
    """Unless that guest is gone or another boot of it runs."""
    db = next((p.db for p in world.pools if p.name == pool), None)
    if db and db.exists("VM", vm) and (db.get("VM", vm)["guest_metrics"], db.get("VM", vm)["power_state"]) == (boot, "Running"):
        report(world, db, vm)
        vm_running.refresh(db, vm)


def report(world: World, db: Database, vm: str) -> None:
    """The tools tell what the guest is and where it is reached."""
    record = db.get("VM", vm)
    said = dict(guests.REPORT)
    if world.guests.agent:
        said |= {"os_version": os_version(record), "other": dict(FEATURES)}
    db.set(
        "VM_guest_metrics", record["guest_metrics"], **said, networks=addresses(world, db, vm), last_updated=world.clock.iso(), live=True,
    )  # fmt: skip


def follow_cards(world: World, db: Database, vm: str) -> None:
    """A card came, went or was given another address: the tools of a running guest notice."""
    record = db.get("VM", vm)
    metrics = record["guest_metrics"]
    if record["power_state"] != "Running" or not db.exists("VM_guest_metrics", metrics) or not has_tools(world, db, record):
        return
    if db.get("VM_guest_metrics", metrics)["PV_drivers_detected"]:
        db.set("VM_guest_metrics", metrics, networks=addresses(world, db, vm), last_updated=world.clock.iso())


# addresses -----------------------------------------------------------------------------------------------------------
def addresses(world: World, db: Database, vm: str) -> dict[str, str]:
    """``0/ip``, ``0/ipv4/0``, ``0/ipv6/0`` of every plugged card."""
    record = db.get("VM", vm)
    given = explicit(record)
    networks = {"0/ip": given, "0/ipv4/0": given} if given else {}
    if not world.guests.agent:
        return networks
    taken = _taken(world, record["guest_metrics"])
    for vif in sorted((db.get("VIF", ref) for ref in record["VIFs"]), key=lambda vif: int(vif["device"])):
        if vif["currently_attached"]:
            device, ipv4 = vif["device"], networks.get(f"{vif['device']}/ip") or _ipv4(world, db, vif, taken)
            taken.add(ipv4)
            networks |= {f"{device}/ip": ipv4, f"{device}/ipv4/0": ipv4, f"{device}/ipv6/0": _ipv6(vif)}
    return networks


def _taken(world: World, own: str) -> set[str]:
    every = (record for pool in world.pools for ref, record in pool.db.all("VM_guest_metrics").items() if ref != own)
    return {address for record in every for key, address in record["networks"].items() if key.endswith("/ip")}


def _ipv4(world: World, db: Database, vif: Record, taken: t.Container[str]) -> str:
    """The one it was given, else what a DHCP server would lend: follows from the MAC, and the subnet from the network."""
    if vif["ipv4_configuration_mode"] == "Static" and vif["ipv4_addresses"]:
        return str(vif["ipv4_addresses"][0].split("/")[0])
    subnet = _subnet(world.guests.network, db.get("network", vif["network"])["bridge"])
    usable = subnet.num_addresses - 11  # the first ten are the router's and its friends'
    start = zlib.crc32(vif["MAC"].encode())
    every = (str(subnet[10 + (start + step) % usable]) for step in range(usable))
    return next((address for address in every if address not in taken), str(subnet[10]))


def _subnet(network: str, bridge: str) -> ipaddress.IPv4Network:
    """xenbrN has the N-th subnet (from 0 on), xapiN the N-th after the eighth."""
    whole = ipaddress.IPv4Network(network)
    digits = bridge.lstrip("abcdefghijklmnopqrstuvwxyz")
    number = (int(digits) if digits.isdigit() else 15) + (0 if bridge.startswith("xenbr") else 8)
    return list(whole.subnets(SUBNETS))[number % (1 << SUBNETS)] if whole.prefixlen <= 20 else whole


def _ipv6(vif: Record) -> str:
    """The link-local one, or a static one."""
    if vif["ipv6_configuration_mode"] == "Static" and vif["ipv6_addresses"]:
        return str(vif["ipv6_addresses"][0].split("/")[0])
    octets = [int(part, 16) for part in vif["MAC"].split(":")]
    parts = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    return str(ipaddress.IPv6Address("fe80::") + int.from_bytes(bytes(parts), "big"))


# moving --------------------------------------------------------------------------------------------------------------
def hear(call: Call, vm: str) -> None:
    """A guest that is to be suspended or moved gets ready. Raises VM_FAILED_SUSPEND_ACKNOWLEDGMENT [vm]."""
    given = call.db.get("VM", vm)["xenstore_data"].get(SUSPEND, "")
    if given == IGNORE:
        call.sleep(ACKNOWLEDGE)
        raise Fault("VM_FAILED_SUSPEND_ACKNOWLEDGMENT", vm)
    if given:
        call.sleep(float(given))


# leaving -------------------------------------------------------------------------------------------------------------
def shutdown_seconds(record: Record) -> float:
    """How long the guest takes to shut down; infinite for one that ignores it."""
    given = record["xenstore_data"].get(SHUTDOWN, "")
    return float("inf") if given == IGNORE else float(given) if given else USUAL_SHUTDOWN


def waited_for(record: Record, vm: str) -> tuple[float, Fault | None]:
    """How long somebody who asks for a shutdown waits, and what is said if that was in vain.

    VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT [vm], VM_SHUTDOWN_TIMEOUT [vm, seconds].
    """
    seconds = shutdown_seconds(record)
    if seconds == float("inf"):
        return ACKNOWLEDGE, Fault("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)
    if seconds > LONGEST_SHUTDOWN:
        return LONGEST_SHUTDOWN, Fault("VM_SHUTDOWN_TIMEOUT", vm, f"{LONGEST_SHUTDOWN:.0f}.")
    return seconds, None
