# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool as it is, in the variables that the role pool_build makes one from; and what these cannot say.

Every entry is tried: a task with it must find nothing to do. What does not hold is left out and named.
"""

from __future__ import annotations

import re
import typing as t

from . import hosts, unexpressed
from .client import Session, is_read
from .errors import XenError
from .formats import yaml_text
from .joined import masked
from .module import listing, rehearse
from .plan import Plan
from .refs import Objects
from .resource import Found, Resource
from .resources.host import Host
from .resources.network import Network
from .resources.pif import Pif
from .resources.pool import Pool
from .resources.sr import types
from .resources.sr.resource import Sr
from .wiring import SYSTEM_NETWORK

Entry = dict[str, t.Any]
# what an object has when nobody said anything about it, beside what is empty: not worth a line
PLAIN_NETWORK: Entry = {"mtu": 1500, "managed": True, "default_locking_mode": "unlocked", "automatic": True}
PLAIN_PIF: Entry = {"properties": {"gro": "on"}, "primary_address_type": "IPv4", "ipv6_mode": "none", "plugged": True}
PLAIN_HOST: Entry = {
    "multipathing": False,
    "numa_affinity_policy": "default_policy",
    "ssh_enabled": True,
    "ssh_enabled_timeout": 0,
    "console_idle_timeout": 0,
    "display": "enabled",
    "ntp_mode": "Factory",
}
EMPTY: tuple[t.Any, ...] = ("", [], {}, None)
HOST_STATE = ("uuid", "enabled", "power_state")
UTC = ("UTC", "Etc/UTC")
POOL_STATE = ("uuid", "coordinator", "members")
PARTS = ("vlan", "bond", "tunnel")
# what tells a network that xapi made for itself, an SR of the tools
OWN_NETWORKS = (SYSTEM_NETWORK, "is_guest_installer_network")
TOOLS = ("xenserver_tools_sr", "xensource_internal")
# keys of other_config that hosts, drivers and installers keep there for themselves
_THEIRS = re.compile(r"i18n-|(agent_start|boot|rpm_patch_installation|last_blob_sync)_time$|(dirty|automatic|iscsi_iqn|multipath\w*)$")


class ReadOnce:
    """A session that asks for the objects of a class once, whoever wants them, and makes no call that changes anything."""

    def __init__(self, session: Session):
        self._session = session
        self._read: dict[str, t.Any] = {}

    def call(self, method: str, *params: t.Any, timeout: float | None = None) -> t.Any:
        if not is_read(method):
            raise XenError(f"{method} changes something.")
        if params:
            return self._session.call(method, *params, timeout=timeout)
        if method not in self._read:
            self._read[method] = self._session.call(method, timeout=timeout)
        return self._read[method]

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._session, name)


class Description:
    """pool, hosts, networks, storage: the variables; left_out: a sentence for each thing they do not say."""

    def __init__(self, session: Session):
        self.session = t.cast(Session, ReadOnce(session))
        self.objects = Objects(self.session)
        self.left_out: list[str] = []
        self.networks = self._networks()
        self.storage = self._storage()
        self.hosts = self._hosts()
        self.pool = self._pool()
        self.left_out += unexpressed.sentences(self.objects)

    def variables(self) -> Entry:
        return {f"pool_build_{part}": getattr(self, part) for part in ("pool", "hosts", "networks", "storage")}

    # what every entry goes through ---------------------------------------------------
    def _rows(self, cls: type[Resource], **chosen: t.Any) -> list[tuple[Found, Entry]]:
        """All objects with their words. One that does not hang together, as after an accident, is named and left out."""
        resource, rows = cls(self.session, chosen), []
        for found in sorted((Found(ref, record) for ref, record in resource.candidates().items()), key=resource.order):
            try:
                rows.append((found, listing(resource, [found])[0]))
            except XenError as e:
                self.left_out.append(f"{cls.table.cls} {found.record.get('name_label') or found.record['uuid']!r}: {e}")
        return rows

    def _without_secrets(self, what: str, entry: Entry) -> Entry:
        shown = masked("", entry)
        for option in ("other_config", "sm_config", "device_config"):
            for key in [key for key, value in (entry.get(option) or {}).items() if shown[option][key] != value]:
                del shown[option][key]
                self.left_out.append(f"{what}: {key} of {option}, which looks like a secret.")
        if "other_config" in shown:
            shown["other_config"] = {k: v for k, v in shown["other_config"].items() if not _THEIRS.match(k)}
        return {option: value for option, value in shown.items() if value not in EMPTY}

    def _tried(self, cls: type[Resource], what: str, entry: Entry, fixed: t.Collection[str], **more: t.Any) -> Entry | None:
        """The entry, without what a task would want to change; None if not even the fixed options are left alone."""
        kept = {option: value for option, value in entry.items() if option in fixed}
        if trouble := self._trouble(cls, {**entry, **more}):
            if again := self._trouble(cls, {**kept, **more}):
                self.left_out.append(f"{what}: {again}")
                return None
            for option, value in entry.items():
                if option in fixed:
                    continue
                if trouble := self._trouble(cls, {**kept, option: value, **more}):
                    self.left_out.append(f"{what}: {option} ({value!r}). {trouble}")
                else:
                    kept[option] = value
            return kept
        return entry

    def _trouble(self, cls: type[Resource], options: Entry) -> str:
        """Why a task with these options would not just find everything as it is; "" if it would."""
        try:
            done = rehearse(cls, self.session, options)
        except XenError as e:
            return str(e)
        return f"xen_{cls.key()} would make the calls {', '.join(done['operations'])}." if done["changed"] else ""

    def _unique(self, cls: str, name: str) -> bool:
        return [r.get("name_label") for r in self.objects.all(cls).values()].count(name) == 1

    # networks --------------------------------------------------------------------------
    def _networks(self) -> list[Entry]:
        entries = []
        for found, row in self._rows(Network):
            what = f"Network {row['name']!r}"
            if any(found.record["other_config"].get(key) == "true" for key in OWN_NETWORKS):
                self.left_out.append(f"{what}: every pool has it.")
                continue
            entry = self._without_secrets(what, compact(row, PLAIN_NETWORK))
            uuid = entry.pop("uuid")
            if not self._unique("network", row["name"]):
                entry["uuid"] = uuid
            kept = self._tried(Network, what, entry, ("name", "uuid"))
            entries += [kept] if kept else []
            self._name_differences(what, found, row)
        # one that stands on another comes after it
        return sorted(entries, key=lambda entry: (standing(entry), "nic" not in entry))

    def _name_differences(self, what: str, found: Found, row: Entry) -> None:
        """Hosts where the network is not connected as the variables say."""
        told = {option: row[option] for option in (*PARTS, "nic") if option in row}
        for host, connection in Network(self.session, {}).facts(found)["hosts"].items():
            if connection != told:
                how = ", ".join(f"{option}: {spec}" for option, spec in connection.items()) or "not connected"
                self.left_out.append(f"{what} on host {host!r}: {how}.")

    # storage ---------------------------------------------------------------------------
    def _storage(self) -> list[Entry]:
        entries = []
        rows = sorted(self._rows(Sr), key=lambda row: (row[1]["name"], row[1].get("host", ""), row[1]["uuid"]))
        for found, row in rows:
            what = f"SR {row['name']!r}" + (f" on host {row['host']!r}" if row.get("host") else "")
            tools = found.record.get("is_tools_sr") or any(found.record["other_config"].get(key) == "true" for key in TOOLS)
            if tools or row["type"] == "udev":
                self.left_out.append(f"{what}: hosts bring it along.")
                continue
            type_ = types.of_name(row["type"])
            usual = {"attach": "all", "shared": type_.shared, "content_type": type_.content_type}
            entry = self._without_secrets(what, compact(row, usual))
            self._name_secrets(what, found, type_)
            uuid = entry.pop("uuid")
            entry.pop("default", None)  # the pool says which
            namesakes = [other for _found, other in rows if other["name"] == row["name"]]
            if len(namesakes) > 1 and ("host" not in row or [n.get("host") for n in namesakes].count(row["host"]) > 1):
                entry["uuid"] = uuid
            kept = self._tried(Sr, what, entry, ("name", "uuid", "host", "type", "attach", "shared"))
            entries += [kept] if kept else []
        return entries

    def _name_secrets(self, what: str, found: Found, type_: types.SrType) -> None:
        configs = [pbd["device_config"] for pbd in self.objects.all("PBD").values() if pbd["SR"] == found.ref]
        keys = {api.removesuffix("_secret") for config in configs for api in config if types.is_secret(api)}
        for api in sorted(keys):
            key = type_.key(api)
            self.left_out.append(f"{what}: {key.option if key else api}, which cannot be read.")

    # hosts -----------------------------------------------------------------------------
    def _hosts(self) -> list[Entry]:
        coordinator = hosts.coordinator(self.objects)
        rows = sorted(self._rows(Host), key=lambda row: (row[0].ref != coordinator, row[1]["name"]))
        self.left_out.append("The passwords of the hosts, which cannot be read: pool_build_password, or password of a host.")
        return [self._host(found, row) for found, row in rows]

    def _host(self, found: Found, row: Entry) -> Entry:
        what, port = f"Host {row['name']!r}", self.session.endpoint.port
        own = [self.objects.label("SR", sr) for sr in hosts.only_there(self.objects, found.ref)]
        # what an installer sets: the host's own SR for dumps, its name for the control domain
        usual = {**PLAIN_HOST, "dom0_hostname": row["name"], "timezone": row["timezone"] if row.get("timezone") in UTC else ""}
        usual.update({option: row.get(option) for option in ("suspend_image_sr", "crash_dump_sr") if row.get(option) in own})
        entry = self._without_secrets(what, {o: v for o, v in compact(row, usual).items() if o not in HOST_STATE})
        entry["name"], entry["address"] = row["name"], found.record["address"] + (f":{port}" if port != 443 else "")
        if not row["name"] or not self._unique("host", row["name"]):
            self.left_out.append(f"{what} at {entry['address']}: a name of its own, which pool_build needs to tell hosts apart.")
        if "power_on_password_secret" in found.record["power_on_config"]:
            self.left_out.append(f"{what}: power_on_password, which cannot be read.")
        kept = self._tried(Host, what, entry, ("name", "address")) or {"name": row["name"], "address": entry["address"]}
        addresses = self._addresses(hosts.name_of(self.objects, found.ref), what)
        first: Entry = {option: kept.pop(option) for option in ("name", "address") if option in kept}
        return {**first, **kept, **({"addresses": addresses} if addresses else {})}

    def _addresses(self, host: str, what: str) -> list[Entry]:
        entries = []
        for _found, row in self._rows(Pif, host=host):
            where = f"{what}, network {row['network']!r}"
            entry = self._without_secrets(where, compact(row, PLAIN_PIF))
            said = {o: v for o, v in entry.items() if o not in ("uuid", "host", "device", "vlan") and (v is not False or o == "plugged")}
            if said.keys() - {"network", "mode", "plugged"} or said["mode"] != "none":
                kept = self._tried(Pif, where, said, ("network",), host=host)
                entries += [kept] if kept and kept.keys() != {"network"} else []
        return entries

    # pool ------------------------------------------------------------------------------
    def _pool(self) -> Entry:
        resource = Pool(self.session, {})
        row = resource.result(None, Plan({}, resource.observe(resource.find())))
        entry = {option: value for option, value in row.items() if option not in POOL_STATE and value is not False}
        for certificate in row.get("ca_certificates") or ():
            self.left_out.append(f"The text of CA certificate {certificate['name']!r}, which cannot be read.")
        if not (entry.get("ha") or {}).get("enabled"):
            entry.pop("ha", None)
        return self._tried(Pool, "The pool", self._without_secrets("The pool", entry), ()) or {}


def compact(row: Entry, usual: Entry) -> Entry:
    return {option: value for option, value in row.items() if option not in usual or value != usual[option]}


def standing(entry: Entry) -> int:
    """How many storeys up: NICs and internal networks, bonds, what stands on those."""
    return 2 if "vlan" in entry or "tunnel" in entry else int("bond" in entry)


def as_yaml(description: Description) -> str:
    """The variables as a file for people to read and go on with. Raises XenError where PyYAML is missing."""
    head = ["# A pool as it is: the role domzero.xen.pool_build, run on it with these variables, changes nothing.", "# Not in here:"]
    text = "".join("\n" + yaml_text.dump({key: value}) for key, value in description.variables().items())
    return "\n".join(["---", *head, *(f"# - {sentence}" for sentence in description.left_out), ""]) + text
