# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what a site has from the beginning, with the calls a client would use, in no time; the log of calls stays empty."""

from __future__ import annotations

import ipaddress
import typing as t

from .dispatch import dispatch
from .errors import Fault
from .modeltypes import NULL
from .site_reader import SiteError

if t.TYPE_CHECKING:
    from .database import Database
    from .site_seed import Addresses, Guest, Seed, Store
    from .world import Machine, World

TEMPLATE = "Other install media"
FIRST = 100  # of the addresses in a subnet
NO_QOS: dict[str, t.Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}}


def sow(world: World, seed: Seed) -> None:
    """Into the pool of the first host. Raises SiteError where the site asks for what can't be."""
    if not (seed.addresses or seed.stores or seed.groups or seed.guests):
        return
    speed = world.clock.speed
    world.set_speed(0)
    try:
        _sow(_Sower(next(iter(world.machines.values()))), seed)
    except (Fault, LookupError) as error:
        said = " ".join(error.description) if isinstance(error, Fault) else str(error)
        raise SiteError("seed", f"the first pool can't have that: {said}") from error
    world.set_speed(speed)
    world.calls.clear()


def _sow(sower: _Sower, seed: Seed) -> None:
    for addresses in seed.addresses:
        sower.address(addresses)
    for store in seed.stores:
        sower.store(store)
    groups = {name: sower.call("VM_group.create", {"name_label": name, "placement": kind}) for name, kind in sower.groups(seed)}
    for guest in seed.guests:
        for number in range(guest.count):
            sower.guest(guest, f"{guest.name}{number + 1:02}" if guest.count > 1 else guest.name, groups)
    sower.call("session.logout")


class _Sower:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        world = machine.world
        names = [world.credentials["username"], world.credentials["password"], "", "site"]
        self.session = dispatch(machine, "session.login_with_password", names)

    @property
    def db(self) -> Database:
        return self.machine.pool.db

    def call(self, method: str, *params: t.Any) -> t.Any:
        return dispatch(self.machine, method, [self.session, *params])

    def groups(self, seed: Seed) -> t.Iterator[tuple[str, str]]:
        """Releases before the class have none."""
        if self.machine.world.schema.message("VM_group", "create"):
            yield from seed.groups

    def address(self, addresses: Addresses) -> None:
        network = ipaddress.IPv4Network(addresses.subnet)
        for number, machine in enumerate(self.machine.pool.machines):
            pif = self.db.one("PIF", host=machine.host_ref, device=addresses.device, VLAN=-1)
            address = str(network[(FIRST + number) % network.num_addresses])
            self.call("PIF.reconfigure_ip", pif, "Static", address, str(network.netmask), "", "")
            self.call("PIF.plug", pif)

    def store(self, store: Store) -> None:
        content = "iso" if store.type == "iso" else "user"
        sr = self.call("SR.create", self.machine.host_ref, store.device_config, 0, store.name, "", store.type, content, True, {})
        if store.default:
            self.call("pool.set_default_SR", self.machine.pool.pool_ref, sr)
            self.call("pool.set_suspend_image_SR", self.machine.pool.pool_ref, sr)

    # VMs -------------------------------------------------------------------------------------------------------------
    def guest(self, guest: Guest, name: str, groups: dict[str, str]) -> None:
        vm = str(self.call("VM.clone", self.db.one("VM", name_label=TEMPLATE), name))
        self.call("VM.provision", vm)
        self.call("VM.set_memory", vm, guest.memory)
        self.call("VM.set_VCPUs_max", vm, guest.vcpus)
        self.call("VM.set_VCPUs_at_startup", vm, guest.vcpus)
        self._configure(vm, guest, groups)
        if guest.storage:
            self._disk(vm, guest, name)
        if guest.disc:
            self._drive(vm, type="CD", mode="RO", userdevice="3", VDI=self.db.one("VDI", name_label=guest.disc), empty=False)
        if guest.network:
            pif = self.db.one("PIF", host=self.machine.host_ref, device=guest.network, VLAN=-1)
            card = {"device": "0", "network": self.db.get("PIF", pif)["network"], "MAC": "", "MTU": 1500, "other_config": {}}
            self.call("VIF.create", {"VM": vm, **card, **NO_QOS})
        self._power(vm, guest)

    def _configure(self, vm: str, guest: Guest, groups: dict[str, str]) -> None:
        if guest.xenstore_data:
            self.call("VM.set_xenstore_data", vm, guest.xenstore_data)
        if guest.affinity:
            self.call("VM.set_affinity", vm, self._host(guest.affinity))
        if guest.group in groups:
            self.call("VM.set_groups", vm, [groups[guest.group]])
        for key, value in (("pci", f"0/{guest.pci}" if guest.pci else ""), ("auto_poweron", "true" if guest.auto_power_on else "")):
            if value:
                self.call("VM.add_to_other_config", vm, key, value)

    def _disk(self, vm: str, guest: Guest, name: str) -> None:
        sr = self._local(guest.host) if guest.storage == "local" else self.db.one("SR", name_label=guest.storage)
        plain: dict[str, t.Any] = {"type": "user", "sharable": False, "read_only": False, "other_config": {}}
        vdi = self.call("VDI.create", {"name_label": f"{name} 0", "SR": sr, "virtual_size": guest.disk, **plain})
        self._drive(vm, type="Disk", mode="RW", userdevice="0", VDI=vdi, empty=False)

    def _drive(self, vm: str, **fields: t.Any) -> None:
        self.call(
            "VBD.create", {"VM": vm, "bootable": fields["type"] == "Disk", "unpluggable": True, "other_config": {}, **NO_QOS, **fields}
        )

    def _power(self, vm: str, guest: Guest) -> None:
        if guest.power == "Halted":
            return
        if guest.host:
            self.call("VM.start_on", vm, self._host(guest.host), guest.power == "Paused", False)
        else:
            self.call("VM.start", vm, guest.power == "Paused", False)
        if guest.power == "Suspended":
            self.call("VM.suspend", vm)

    def _host(self, name: str) -> str:
        return self.machine.world.machines[name].host_ref if name else NULL

    def _local(self, host: str) -> str:
        """The host's own SR for disks."""
        for pbd in self.db.get("host", self._host(host))["PBDs"]:
            sr = self.db.get("SR", self.db.get("PBD", pbd)["SR"])
            if not sr["shared"] and sr["content_type"] == "user":
                return str(self.db.get("PBD", pbd)["SR"])
        raise LookupError(f"{host} has no storage of its own")
