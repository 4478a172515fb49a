# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site: hosts, cables, storage servers. Read from YAML or made up from a number of hosts; builds the world.

Every mistake is a ``SiteError`` that says where it is and what would have been right.
"""

from __future__ import annotations

import copy
import ipaddress
import typing as t
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from . import fresh, releases, seeding, software
from .guest_agents import Guests
from .site_devices import Devices, devices
from .site_reader import Reader, SiteError
from .site_seed import Seed, seeds
from .site_storage import local_places, server
from .site_updates import catalogue
from .site_updates import motion as site_motion
from .storage import Place, Server, Storage
from .traffic import Motion
from .updates import Catalogue
from .world import Machine, Nic, Pool, World

SITES = Path(__file__).parent / "sites"
GIB = 1 << 30
LOCAL_STORAGE = ("ext", "lvm", "dummy", "none")
FEATURES = {
    "GenuineIntel": "1fcbfbff-f7fa3223-2d93fbff-00000123-00000001-009c6fbb-00000000-00000000-00001000-9c000400-00000000-00000000",
    "AuthenticAMD": "178bfbff-f6d83203-2c100800-00000123-0000000f-219c01a9-00000000-00000000-00000000-00000000-00000000-00000000",
}


@dataclass(frozen=True)
class NicSite:
    """A network card; ``attached``: xapi brought its PIF up (None: only the management one and those of pool members)."""

    device: str
    mac: str
    segment: str
    carrier: bool = True
    pci: str = ""
    attached: bool | None = None


@dataclass(frozen=True)
class HostSite:
    """One host; the first network card is the management one. ``drivers`` and ``templates``: None means what the release has.

    ``pool``: hosts that name the same one are a pool already, its first host the coordinator.
    """

    name: str
    address: str
    release: str
    nics: tuple[NicSite, ...]
    memory: int = 64 * GIB
    prefix: int = 24
    gateway: str = ""
    cpus: dict[str, t.Any] = field(default_factory=dict)
    local_storage: str = "ext"
    power_on: str = ""
    iscsi_iqn: str | None = None
    builtin_storage: bool = True  # DVD drives, removable storage, tools
    hypervisor: bool = True  # without one guests have no consoles
    drivers: tuple[str, ...] | None = None
    templates: tuple[str, ...] | None = None
    places: tuple[Place, ...] = ()
    pool: str = ""
    devices: Devices = field(default_factory=dict)
    boot_seconds: int = 120
    stays_down: bool = False

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The management subnet."""
        return ipaddress.IPv4Network((self.address, self.prefix), strict=False)


@dataclass(frozen=True)
class Site:
    """Everything a world is built from. ``joined``: all hosts are one pool already, the first its coordinator."""

    hosts: tuple[HostSite, ...]
    release: str = releases.DEFAULT
    username: str = "root"
    password: str = "xapi-test"
    segments: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    shared: tuple[Place, ...] = ()
    joined: bool = False
    guests: Guests = field(default_factory=Guests)
    updates: Catalogue = field(default_factory=Catalogue)
    motion: Motion = field(default_factory=Motion)
    seed: Seed = field(default_factory=Seed)

    def storage(self) -> Storage:
        """The storage as the site describes it, nothing written to it yet."""
        storage = Storage(list(self.servers), shared=list(self.shared))
        fabric: dict[str, Place] = {}
        for host in self.hosts:
            for place in host.places:
                storage.add_local(host.name, fabric.setdefault(place.path, place) if place.kind == "lun" else place)
        return copy.deepcopy(storage)


def mac_of(host: str, device: str) -> str:
    """A locally administered address that is always the same for this card."""
    return "02:00:" + zlib.crc32(f"{host}/{device}".encode()).to_bytes(4, "big").hex(":")


# reading -------------------------------------------------------------------------------------------------------------
def load(path: str | Path) -> Site:
    """A site file, or a site that comes with the simulator by its name (``homogeneous``)."""
    file = Path(path)
    if not file.exists() and (SITES / f"{path}.yml").exists():
        file = SITES / f"{path}.yml"
    try:
        return parse(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in SITES.glob("*.yml")))
        raise SiteError(str(path), f"{error.strerror}; sites that come along: {known}") from error
    except yaml.YAMLError as error:
        raise SiteError(str(path), f"no YAML: {error}") from error


def parse(value: object) -> Site:
    """A site from the mapping its YAML holds."""
    reader = Reader("", value)
    segments = tuple(reader.texts("segments"))
    release = reader.choice("release", releases.DEFAULT, releases.names(), "release")
    username, password = reader.inside("credentials", lambda r: (r.text("username", "root"), r.text("password", "xapi-test")))
    common = _Common(segments, release, _names(reader, "drivers"), _names(reader, "templates"))
    hosts = reader.each("hosts", lambda r: _host(r, common))
    servers = reader.each("storage", lambda r: server(r, segments))
    shared = reader.each("linstor", lambda r: Place("linstor", r.text("group"), r.size("size", "1TiB")))
    joined = reader.flag("joined", False)
    guests = reader.inside("guests", _guests)
    updates, motion, seed = reader.inside("updates", catalogue), reader.inside("motion", site_motion), reader.inside("seed", seeds)
    reader.done()
    _check_unique(hosts)
    return Site(tuple(hosts), release, username, password, segments, tuple(servers), tuple(shared), joined, guests, updates, motion, seed)


def _guests(r: Reader) -> Guests:
    plain = Guests()
    network = r.text("network", plain.network)
    try:
        ipaddress.IPv4Network(network)
    except ValueError as error:
        raise SiteError(r.at("network"), str(error)) from None
    return Guests(r.flag("agent", plain.agent), r.number("boot_seconds", plain.boot_seconds), network)


@dataclass(frozen=True)
class _Common:
    """What holds for every host that says nothing else."""

    segments: tuple[str, ...]
    release: str
    drivers: tuple[str, ...] | None
    templates: tuple[str, ...] | None


def _names(reader: Reader, key: str) -> tuple[str, ...] | None:
    return None if reader.raw(key) is None else tuple(reader.texts(key))


def _host(r: Reader, common: _Common) -> HostSite:
    name, address = r.text("name"), r.text("address")
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise SiteError(r.at("address"), str(error)) from None
    nics = r.each("nics", lambda n: _nic(n, name, common.segments))
    if not nics:
        raise SiteError(r.where, "a host needs at least one network card in 'nics'; the first one carries the management address")
    release = r.choice("release", common.release, releases.names(), "release")
    local_storage = r.choice("local_storage", releases.release(release)["local_storage"], LOCAL_STORAGE, "local storage")
    initiator = None if r.raw("iscsi_iqn") is None else r.text("iscsi_iqn")
    return HostSite(
        name=name, address=address, release=release, nics=tuple(nics), memory=r.size("memory", "64GiB"), prefix=r.number("prefix", 24),
        gateway=r.text("gateway", ""), cpus=r.inside("cpus", _cpus), local_storage=local_storage, power_on=r.text("power_on", ""),
        builtin_storage=r.flag("builtin_storage", True), hypervisor=r.flag("hypervisor", True), iscsi_iqn=initiator,
        drivers=_names(r, "drivers") or common.drivers,
        templates=_names(r, "templates") or common.templates, places=tuple(local_places(r)), pool=r.text("pool", ""),
        devices=devices(r), boot_seconds=r.number("boot_seconds", 120), stays_down=r.flag("stays_down", False),
    )  # fmt: skip


def _nic(r: Reader, host: str, segments: tuple[str, ...]) -> NicSite:
    device = r.text("device")
    segment = r.choice("segment", "", ("", *segments), "segment")
    attached = None if r.raw("attached") is None else r.flag("attached", False)
    mac = r.text("mac", mac_of(host, device)).lower()
    return NicSite(device, mac, segment, r.flag("carrier", bool(segment)), r.text("pci", ""), attached)


def _cpus(r: Reader) -> dict[str, t.Any]:
    vendor = r.choice("vendor", "GenuineIntel", FEATURES, "CPU vendor")
    model = "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz" if vendor == "GenuineIntel" else "AMD EPYC 7313 16-Core Processor"
    return {
        "count": r.number("count", 8), "sockets": r.number("sockets", 1), "vendor": vendor, "model": r.text("model", model),
        "features": r.text("features", FEATURES[vendor]), "speed": r.text("speed", "2100.000"),
    }  # fmt: skip


def _check_unique(hosts: list[HostSite]) -> None:
    if not hosts:
        raise SiteError("hosts", "a site needs at least one host")
    macs = [n.mac for h in hosts for n in h.nics]
    for what, values in (("name", [h.name for h in hosts]), ("address", [h.address for h in hosts]), ("mac", macs)):
        twice = sorted({v for v in values if values.count(v) > 1})
        if twice:
            raise SiteError("hosts", f"{what} {', '.join(twice)} is used twice")


# without a file ------------------------------------------------------------------------------------------------------
def of_hosts(count: int, *, joined: bool = False, release: str | None = None) -> Site:
    """``count`` equal hosts (xcp00, xcp01, ...) with two cards on one segment each, a filer and a SAN beside them."""
    if not 1 <= count <= 100:
        raise SiteError("hosts", f"1 to 100 hosts, not {count}")
    nics = [{"device": "eth0", "segment": "management"}, {"device": "eth1", "segment": "storage"}]
    hosts = [{"name": f"xcp{i:02}", "address": f"127.10.0.{100 + i}", "nics": nics} for i in range(count)]
    san = [{"iqn": "iqn.2024-01.lab:san.pool", "luns": [{"id": 0, "size": "500GiB"}, {"id": 1, "size": "500GiB"}]}]
    exports = [{"path": "/export/vms"}, {"path": "/export/iso", "isos": ["debian-12.iso"]}]
    places = {"management": "127.10.0.10", "storage": "172.16.0.10"}
    servers = [{"name": f"filer-{s}", "address": a, "segment": s, "nfs": exports, "iscsi": san} for s, a in places.items()]
    site = parse({"segments": ["management", "storage"], "hosts": hosts, "storage": servers, "joined": joined, "guests": {"agent": True}})
    return with_release(site, release) if release else site


def with_release(site: Site, release: str) -> Site:
    """The same site, all hosts with another product release. LookupError for an unknown one."""
    chosen = releases.release(release)
    hosts = tuple(replace(h, release=release, local_storage=_storage_of(h, chosen)) for h in site.hosts)
    return replace(site, release=release, hosts=hosts)


def _storage_of(host: HostSite, chosen: dict[str, t.Any]) -> str:
    return chosen["local_storage"] if host.local_storage in ("ext", "lvm") else host.local_storage


# building ------------------------------------------------------------------------------------------------------------
def build(site: Site, *, speed: float = 1.0) -> World:
    """The world of a site, every host freshly installed."""
    world = World(speed=speed, release=releases.release(site.hosts[0].release).get("model"), username=site.username, password=site.password)
    world.segments = list(site.segments)
    world.guests = site.guests
    world.storage = site.storage()
    world.updates, world.traffic.motion = copy.deepcopy(site.updates), site.motion
    pools: dict[str, Pool] = {}
    for host in site.hosts:
        name = host.pool or ("every host's" if site.joined else f"{host.name}'s own")
        machine = _machine(world, host, pools.get(name) or world.new_pool())
        world.machines[machine.name] = machine
        if host.stays_down:
            world.faults.keep_down(machine.name)
        if name in pools:
            fresh.add_member(machine)
        else:
            fresh.install(machine)
            machine.pool.db.set("pool", machine.pool.pool_ref, name_label=host.pool)
        pools[name] = machine.pool
    seeding.sow(world, site.seed)
    for pool in world.pools:
        software.note_upgrade(pool)
    return world


def _machine(world: World, host: HostSite, pool: Pool) -> Machine:
    state = {
        "management": {"netmask": str(host.network.netmask), "gateway": host.gateway or str(host.network.network_address + 1)},
        "iscsi_iqn": host.iscsi_iqn, "pci": {n.device: n.pci for n in host.nics if n.pci}, "builtin_storage": host.builtin_storage,
        "no_hypervisor": not host.hypervisor, "devices": host.devices,
        "attached": [n.device for n in host.nics if n.attached], "boot_seconds": host.boot_seconds,
    }  # fmt: skip
    product = releases.release(host.release)
    product.update({key: list(value) for key, value in (("drivers", host.drivers), ("templates", host.templates)) if value is not None})
    return Machine(
        world, host.name, host.address, host.memory, pool, cpus={k: v for k, v in host.cpus.items() if k not in ("vendor", "features")},
        vendor=host.cpus["vendor"], features=host.cpus["features"], nics=[Nic(n.device, n.mac, n.segment, n.carrier) for n in host.nics],
        product=product, local_storage=host.local_storage, power_on=host.power_on, state=state,
    )  # fmt: skip
