# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage a loaded pool's SRs must lie on: servers, targets and disks as its PBDs name them, with the SRs and their disks in place.

So an SR of a loaded pool can be unplugged and plugged, forgotten and introduced. A server counts as reached through the management network.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .storage import Disk, Place, Repository, Server, Storage, Target

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import Machine, Pool, World

SMALLEST = 1 << 40  # bytes; a medium is at least that large, and large enough for what is on it
_DISKS = frozenset({"lvm", "ext", "xfs", "largeblock"})
_DIRECTORIES = frozenset({"file", "zfs"})
_LISTINGS = frozenset({"iso", "udev", "shm"})  # their VDIs are files or devices, nothing else is written


def learn(world: World, pool: Pool) -> Storage:
    """What the pool's PBDs tell."""
    learner = _Learner(world, pool)
    for ref in pool.db.all("PBD"):
        learner.pbd(pool.db.get("PBD", ref))
    return learner.storage


def disk_of(db: Database, vdi: Record) -> Disk:
    """A VDI as it lies on its medium."""
    snapshot_of = db.all("VDI").get(vdi["snapshot_of"], {}).get("uuid", "")
    same = ("uuid", "location", "virtual_size", "physical_utilisation", "name_label", "name_description", "type", "read_only", "sharable",
            "managed", "is_a_snapshot", "snapshot_time", "sm_config")  # fmt: skip
    return Disk(snapshot_of=snapshot_of, **{name: vdi[name] for name in same})


class _Learner:
    def __init__(self, world: World, pool: Pool) -> None:
        self.world, self.pool, self.db, self.storage = world, pool, pool.db, Storage()

    def pbd(self, record: Record) -> None:
        sr = self.db.all("SR").get(record["SR"])
        if sr is None or not self.db.exists("host", record["host"]):
            return
        machine = self.world.machine_of(self.pool, record["host"])
        place = self._place(machine, sr["type"], record["device_config"])
        if place is not None:
            self._fill(place, sr, record["device_config"])

    def _place(self, machine: Machine, type_: str, config: dict[str, str]) -> Place | None:
        location = config.get("location", "")
        if type_ in _DISKS and config.get("device"):
            return self._local(machine, "disk", config["device"].split(",")[0])
        if location and (type_ in _DIRECTORIES or type_ in ("udev", "shm") or (type_ == "iso" and "legacy_mode" in config)):
            return self._local(machine, "directory", location.rstrip("/") or "/")
        if type_ == "nfs" and config.get("server"):
            return self._exported(machine, config["server"], "nfs", config.get("serverpath", "/"))
        if (location and (type_ == "iso" or type_ == "smb")) or config.get("server", "").startswith(("//", "\\\\")):
            return self._share(machine, location or config["server"], config)
        if type_ == "lvmoiscsi" and config.get("target"):
            return self._lun(self._target(machine, config).luns, config)
        if type_ in ("lvmohba", "lvmofcoe") and config.get("SCSIid"):
            return self._local(machine, "lun", config["SCSIid"])
        return None

    def _share(self, machine: Machine, location: str, config: dict[str, str]) -> Place:
        if ":/" in location:
            server, _colon, path = location.partition(":")
            return self._exported(machine, server, "nfs", path)
        server, _slash, share = location.replace("\\", "/").lstrip("/").partition("/")
        place = self._exported(machine, server, "smb", share)
        place.user, place.password = config.get("username", ""), config.get("password", config.get("cifspassword", ""))
        return place

    def _local(self, machine: Machine, kind: str, path: str) -> Place:
        return self.storage.local_place(machine.name, kind, path) or self.storage.add_local(machine.name, Place(kind, path, SMALLEST))

    def _exported(self, machine: Machine, server: str, kind: str, path: str) -> Place:
        found = self._server(machine, server)
        place = found.place(kind, path)
        if place is None:
            place = Place(kind, path, SMALLEST)
            found.places.append(place)
        return place

    def _target(self, machine: Machine, config: dict[str, str]) -> Target:
        server = self._server(machine, config["target"].split(",")[0].strip())
        target = server.target(config.get("targetIQN", ""))
        if target is None:
            user, password = config.get("chapuser", ""), config.get("chappassword", "")
            target = Target(config.get("targetIQN", ""), port=int(config.get("port") or 3260), user=user, password=password)
            server.targets.append(target)
        return target

    def _lun(self, luns: list[Place], config: dict[str, str]) -> Place:
        for lun in luns:
            if lun.path == config.get("SCSIid"):
                return lun
        number = config.get("LUNid", "")
        luns.append(Place("lun", config.get("SCSIid", ""), SMALLEST, lun=int(number) if number.isdigit() else len(luns)))
        return luns[-1]

    # servers ---------------------------------------------------------------------------------------------------------
    def _server(self, machine: Machine, where: str) -> Server:
        found = self.storage.server_at(where)
        if found is None:
            management = self._management(machine)
            address, prefix = self._within(where, management)
            segment = next((n.segment for n in machine.nics if management and n.device in self._cards(management)), "")
            found = Server(where, address, segment, prefix)
            self.storage.servers.append(found)
        return found

    def _management(self, machine: Machine) -> Record | None:
        pifs = (self.db.get("PIF", ref) for ref in machine.host_record()["PIFs"])
        return next((pif for pif in pifs if pif["management"]), None)

    def _cards(self, pif: Record) -> set[str]:
        bonds = [self.db.get("Bond", bond) for bond in pif["bond_master_of"] if self.db.exists("Bond", bond)]
        return {pif["device"]} | {self.db.get("PIF", slave)["device"] for bond in bonds for slave in bond["slaves"]}

    def _within(self, where: str, management: Record | None) -> tuple[str, int]:
        """Address and prefix so that the host's own address is in the server's subnet; a host name gets an address beside the host's."""
        try:
            own = ipaddress.IPv4Interface(f"{management['IP']}/{management['netmask'] or 24}" if management else "0.0.0.0/0")
        except ValueError:
            own = ipaddress.IPv4Interface("0.0.0.0/0")
        try:
            address = ipaddress.IPv4Address(where)
        except ValueError:
            return str(own.network.network_address + 1 + len(self.storage.servers)), own.network.prefixlen
        return where, own.network.prefixlen if address in own.network else 0

    # contents --------------------------------------------------------------------------------------------------------
    def _fill(self, place: Place, sr: Record, config: dict[str, str]) -> None:
        vdis = [self.db.get("VDI", ref) for ref in sr["VDIs"] if self.db.exists("VDI", ref)]
        place.size = max(place.size, sr["physical_size"], 2 * sum(vdi["physical_utilisation"] for vdi in vdis))
        if sr["type"] in _LISTINGS:
            inside = config.get("iso_path", "").strip("/")
            for vdi in vdis:
                name = vdi["location"].rpartition("/")[2] if sr["type"] != "iso" else "/".join(filter(None, (inside, vdi["location"])))
                place.images[name] = vdi["virtual_size"]
            return
        key = "" if sr["type"] in _DIRECTORIES else sr["uuid"]
        if key not in place.repositories:
            disks = {vdi["location"]: disk_of(self.db, vdi) for vdi in vdis}
            place.repositories[key] = Repository(sr["uuid"], sr["type"], sr["name_label"], sr["name_description"], disks)
