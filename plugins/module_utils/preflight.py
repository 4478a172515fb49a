# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a description of a pool, found before anything is touched: in the description itself, and on the hosts."""

from __future__ import annotations

import ipaddress
import time
import typing as t
from collections import Counter

from .client import Session
from .errors import ApiError, ConnectionFailed, XenError
from .hosts import addresses_of, pool_of
from .refs import Objects, Record
from .transport import Endpoint

Rows = t.Sequence[Record]
KINDS = ("nic", "vlan", "bond", "tunnel")
RESTART = 60.0  # seconds that a member's toolstack may take to come back, as it does at the end of a join


def described(hosts: Rows, networks: Rows, storage: Rows, known_networks: t.Collection[str]) -> list[str]:
    """Every contradiction inside the description, one sentence each. known_networks: names the pool has already."""
    nameless = [f"The {what} number {n} has no name." for what, rows in (("network", networks), ("SR", storage))
                for n, row in enumerate(rows, 1) if not row.get("name")]  # fmt: skip
    if nameless:
        return nameless
    names = {n["name"] for n in networks} | set(known_networks)
    return [
        *_twice("host", [h["name"] for h in hosts]),
        *_twice("address of a host", [h["address"] for h in hosts]),
        *_twice("network", [n["name"] for n in networks if not n.get("uuid")]),
        *_twice("SR", [" on host ".join(filter(None, (s["name"], s.get("host")))) for s in storage if not s.get("uuid")]),
        *[problem for network in networks for problem in _network(network, names)],
        *_nics_used_twice(networks),
        *_addresses(hosts, names),
        *_targets_used_twice(storage),
    ]


def _twice(what: str, values: t.Iterable[str]) -> list[str]:
    return [f"The {what} {value!r} is described {count} times." for value, count in Counter(values).items() if count > 1]


def _network(network: Record, names: t.Collection[str]) -> t.Iterator[str]:
    label = f"Network {network['name']!r}"
    kinds = [kind for kind in KINDS if network.get(kind)]
    if len(kinds) > 1:
        yield f"{label} cannot be {' and '.join(kinds)} at once."
    vlan, bond, tunnel = network.get("vlan") or {}, network.get("bond") or {}, network.get("tunnel") or {}
    if vlan and not (str(vlan.get("tag")).isdecimal() and 1 <= int(vlan["tag"]) <= 4094):
        yield f"{label} has the VLAN tag {vlan.get('tag')}; a tag lies between 1 and 4094."
    if bond and len(set(bond.get("nics") or ())) < 2:
        yield f"{label} is a bond of {', '.join(bond.get('nics') or ()) or 'nothing'}; it needs at least two NICs."
    for part in (vlan, tunnel):
        if part.get("network") and part["network"] not in names:
            yield f"{label} stands on network {part['network']!r}, which is neither described nor in the pool."


def _nics_used_twice(networks: Rows) -> list[str]:
    used = [(nic, n["name"]) for n in networks for nic in ([n["nic"]] if n.get("nic") else (n.get("bond") or {}).get("nics") or ())]
    bonds = {n["name"] for n in networks if n.get("bond")}
    out = []
    for nic in dict.fromkeys(nic for nic, _name in used):
        users = [name for other, name in used if other == nic]
        # a bond member keeps its own network, so one plain network beside one bond is what a pool looks like
        if len(users) - bool(set(users) & bonds) > 1 or len(set(users) & bonds) > 1:
            out.append(f"NIC {nic} is used by several networks: {', '.join(users)}.")
    tags = Counter((v.get("network") or v.get("nic"), v.get("tag")) for n in networks if (v := n.get("vlan")))
    return out + [f"VLAN {tag} on {base!r} is described {count} times." for (base, tag), count in tags.items() if count > 1]


def _addresses(hosts: Rows, networks: t.Collection[str]) -> t.Iterator[str]:
    seen: dict[str, str] = {}
    for host in hosts:
        for entry in host.get("addresses") or ():
            where = f"Host {host['name']!r}, network {entry.get('network') or entry.get('device')!r}"
            if entry.get("network") and entry["network"] not in networks:
                yield f"{where}: there is no such network, neither described nor in the pool."
            if not entry.get("ip"):
                continue
            try:
                address = str(ipaddress.ip_interface(entry["ip"]).ip)
            except ValueError:
                yield f"{where}: {entry['ip']!r} is not an IP address."
                continue
            if address in seen:
                yield f"{where}: address {address} is taken by {seen[address]}."
            seen[address] = f"host {host['name']!r}"


def _targets_used_twice(storage: Rows) -> list[str]:
    def target(sr: Record) -> tuple[str, ...] | None:
        keys = [k for k in ("iqn", "scsi_id", "lun", "device") if sr.get(k) is not None]
        return (str(sr.get("host") or sr.get("target") or ""), *(f"{k} {sr[k]}" for k in keys)) if keys else None

    found: dict[tuple[str, ...], list[str]] = {}
    for sr in storage:
        if key := target(sr):
            found.setdefault(key, []).append(sr["name"])
    return [f"{' '.join(filter(None, key))} is used by several SRs: {', '.join(names)}." for key, names in found.items() if len(names) > 1]


class Looked(t.NamedTuple):
    """What was seen of one host. pool_of: address of the coordinator it is a member of, "" for a host of its own."""

    name: str
    address: str
    product: str
    nics: list[str]
    pool_of: str


def look(host: Record, coordinator: Session) -> Looked:
    """Log in to a host of the description (or recognise it as a member) and read what it has. Raises XenError naming it."""
    endpoint = Endpoint.parse(
        host["address"],
        validate_certs=host["validate_certs"],
        ca_file=host.get("ca_file"),
        fingerprints=tuple(host.get("fingerprint") or ()),
        timeout=coordinator.endpoint.timeout,
    )
    if not host.get("password"):
        raise XenError(f"Host {host['name']!r}: there is no password for it.", hint="Give password in its entry.")
    session = Session(endpoint)
    try:
        member_of = session.log_in_here(host["username"], host["password"])
        objects = Objects(coordinator if member_of else session)
        rows = objects.all("host")
        here = addresses_of(endpoint.host)
        ref = next((r for r, row in rows.items() if not member_of or row["address"] in here), "")
        product = rows[ref]["software_version"] if ref else {}
        nics = sorted(p["device"] for p in objects.all("PIF").values() if p["physical"] and p["host"] == ref)
        version = f"{product.get('product_brand', 'XenServer')} {product.get('product_version', '')}".strip()
        return Looked(host["name"], host["address"], version, nics, member_of)
    except ApiError as e:
        e.message = f"Host {host['name']!r} at {endpoint.url}: {e.message}"
        raise
    except XenError as e:
        e.message = f"Host {host['name']!r}: {e.message}"
        raise
    finally:
        session.log_out()


def _look_at_member(host: Record, coordinator: Session, members: t.AbstractSet[str]) -> Looked:
    """The same, with patience for a member: a join that nobody waited for ends with a restart of its toolstack."""
    end = time.monotonic() + RESTART
    while True:
        try:
            return look(host, coordinator)
        except ConnectionFailed:
            if time.monotonic() > end or not members & addresses_of(Endpoint.parse(host["address"]).host):
                raise
            time.sleep(0.5)


def seen(looked: t.Sequence[Looked], networks: Rows, ours: str) -> list[str]:
    """What the hosts lack or are that the description does not allow. ours: the address of our coordinator."""
    out = [
        f"Host {h.name!r} at {h.address} is a member of another pool, whose coordinator is {h.pool_of}."
        for h in looked
        if h.pool_of and h.pool_of != ours
    ]
    wanted = {nic: n["name"] for n in networks for nic in ([n["nic"]] if n.get("nic") else (n.get("bond") or {}).get("nics") or ())}
    for host in looked:
        out += [
            f"Host {host.name!r} has no NIC {nic}, which network {network!r} needs; it has {', '.join(host.nics) or 'none'}."
            for nic, network in wanted.items()
            if nic not in host.nics
        ]
    return out


def examine(coordinator: Session, hosts: Rows, networks: Rows, storage: Rows) -> tuple[list[str], list[Looked], str]:
    """All problems of the description and the hosts together, what was seen of each host that answered, the coordinator's name."""
    objects = Objects(coordinator)
    _ref, pool = pool_of(objects)
    names = {n["name_label"] for n in objects.all("network").values()}
    problems, looked = described(hosts, networks, storage, names), []
    members = {row["address"] for row in objects.all("host").values()}
    for host in hosts:
        try:
            looked.append(_look_at_member(host, coordinator, members))
        except XenError as e:
            problems.append(str(e))
    ours = objects.get("host", pool["master"])["address"]
    leads = next((h.name for h in looked if not h.pool_of and ours in addresses_of(Endpoint.parse(h.address).host)), "")
    return [*problems, *seen(looked, networks, ours)], looked, leads
