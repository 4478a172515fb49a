# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of SR.probe, written as the drivers write it: tabs and newlines around every text."""

from __future__ import annotations

import typing as t
from xml.sax.saxutils import escape

from .storage import Place, Repository, Server, Target

Node = tuple[str, t.Union[str, "list[Node]"]]
ISCSI_PORT = 3260


def render(node: Node) -> str:
    """A whole document."""
    return f'<?xml version="1.0" ?>\n{_render(node, "")}'


def _render(node: Node, indent: str) -> str:
    name, content = node
    if isinstance(content, str):
        inner = f"{indent}\t{escape(content)}\n"
    else:
        inner = "".join(_render(child, f"{indent}\t") for child in content)
    return f"{indent}<{name}>\n{inner}{indent}</{name}>\n" if inner else f"{indent}<{name}/>\n"


def exports(server: Server) -> str:
    """What an NFS server exports."""
    return render(("nfs-exports", [
        ("Export", [("Target", server.address), ("Path", p.path), ("Accesslist", "*")]) for p in server.of_kind("nfs")
    ]))  # fmt: skip


def srs(
    found: t.Iterable[Repository], *, device: str = "", size: int | None = None, metadata: bool = False, versions: t.Sequence[str] = ()
) -> str:
    """SRs found on a medium; with ``metadata`` also their names."""
    entries: list[Node] = []
    for repository in found:
        children: list[Node] = [("UUID", repository.uuid)]
        if device:
            children += [("Devlist", device)]
        if size is not None:
            children += [("size", str(size))]
        if metadata:
            names: list[Node] = [("name_label", repository.name_label), ("name_description", repository.name_description)]
            children += [*names, ("pool_metadata_detected", "false")]
        entries.append(("SR", children))
    if versions:
        entries.append(("SupportedVersions", [("Version", version) for version in versions]))
    return render(("SRlist", entries))


def iqns(server: Server, given: str) -> str:
    """Targets of an iSCSI server; the last entry stands for all of them."""
    entries: list[Node] = []
    for index, target in enumerate(server.targets):
        port: list[Node] = [("Port", str(target.port))] if target.port != ISCSI_PORT else []
        entries.append(("TGT", [("Index", str(index)), ("IPAddress", server.address), *port, ("TargetIQN", target.iqn)]))
    entries.append(("TGT", [("Index", str(len(entries))), ("IPAddress", given), ("TargetIQN", "*")]))
    return render(("iscsi-target-iqns", entries))


def luns(targets: t.Iterable[Target]) -> str:
    """LUNs of iSCSI targets."""
    return render(("iscsi-target", [
        ("LUN", [("vendor", p.vendor), ("serial", p.serial), ("LUNid", str(p.lun)), ("size", str(p.size)), ("SCSIid", p.path)])
        for target in targets for p in target.luns
    ]))  # fmt: skip


def _block_device(place: Place) -> list[Node]:
    return [
        ("path", f"/dev/disk/by-id/scsi-{place.path}"), ("numpaths", "1"), ("SCSIid", place.path), ("vendor", place.vendor),
        ("serial", place.serial), ("size", str(place.size)), ("adapter", "host1"), ("channel", "0"), ("id", "0"), ("lun", str(place.lun)),
        ("hba", "qla2xxx"),
    ]  # fmt: skip


def hba_devices(places: t.Iterable[Place]) -> str:
    """LUNs behind host bus adapters, then the adapters."""
    found = list(places)
    devices = [("BlockDevice", _block_device(place)) for place in found]
    adapters: list[Node] = [("Adapter", [("host", "host1"), ("name", "qla2xxx"), ("manufacturer", "QLogic HBA Driver"), ("id", "0")])]
    return render(("Devlist", [*devices, *(adapters if found else [])]))
