# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Increments by changed block tracking: only what a disk's host noted as changed is read, over NBD (xen-api: xapi_vdi.ml, ocaml/nbd).

The snapshot that the next increment is told against needs no data for that, so its data goes once the backup is complete.
"""

from __future__ import annotations

import base64
import re
import time
import typing as t
from collections import deque

from ...client import Session
from ...errors import ApiError, ConnectionFailed, Untrusted, XenError
from ...formats import vhd_write
from ...formats.files import PIECE
from ...formats.vhd import BLOCK
from ...nbd import Client, Piece, Refused, Server
from ...refs import Objects, Record
from ...resource import Found
from ...storage import Storage
from .snapshots import MARK

PART = 1 << 16  # bytes that a bit of the bitmap stands for
METADATA = "cbt_metadata"  # VDI.type of a snapshot whose data is gone
NBD, INSECURE = "nbd", "insecure_nbd"  # purposes of a network
ATTEMPTS = 4  # connections in a row that bring nothing
PAUSE = 0.1  # seconds before the second, four times as many before each one after it: a host serves 16 clients at most
_CHANGED = re.compile("1+")


class NotByChanges(XenError):
    """The pool does not give what changed, or not the data; the disk can be read in another way."""


class Unserved(NotByChanges):
    """What changed is known, but the hosts cannot be read from; that will be so for other disks too."""


# what the records say -----------------------------------------------------------------
def refusal(objects: Objects, disk: Record, base: str) -> str:
    """Why a VM's disk cannot be read by what changed since the snapshot with this uuid; "" where it can be tried."""
    found = next((r for r in objects.all("VDI").values() if r["uuid"] == base), None)
    if found is None:
        return "its last snapshot is not there any more"
    if not (found.get("cbt_enabled") or found["type"] == METADATA):
        return "its changes were not tracked when its last backup was made"
    return keeps_data(objects, disk)


def keeps_data(objects: Objects, disk: Record) -> str:
    """Why the next increment of a disk may need the data of its base; "" where what changed will be told.

    Drivers with VDI_REVERT take the disk itself back to a snapshot (xapi_vm_snapshot.ml), and no bitmap says so.
    """
    if "VDI_REVERT" in Storage(objects).features(disk["SR"]):
        return "its SR reverts disks in place, which changed blocks would not tell"
    if not disk.get("cbt_enabled"):
        return "its changes are not tracked (changed block tracking is off)"
    networks = {ref for ref, r in objects.all("network").items() if {NBD, INSECURE} & set(r.get("purpose", ()))}
    if not networks:
        return "no network of the pool is for NBD"
    hosts = {r["host"] for r in objects.all("PBD").values() if r["SR"] == disk["SR"] and r["currently_attached"]}
    pifs = (r for r in objects.all("PIF").values() if r["host"] in hosts and r["network"] in networks and r["currently_attached"])
    return "" if any(pif["IP"] or pif["IPv6"] for pif in pifs) else "no host with its SR has an address on a network for NBD"


def insecure(objects: Objects) -> bool:
    """Whether the pool's administrator has chosen NBD without TLS; hosts speak either with it or without."""
    return any(INSECURE in r.get("purpose", ()) for r in objects.all("network").values())


def bases(objects: Objects, repository: str, vm: str) -> list[tuple[str, Found]]:
    """Snapshots of single disks that are kept for the next increment of a VM (by uuid) in a repository: stamp of the backup, snapshot."""
    out = []
    for ref, record in objects.all("VDI").items():
        words = str(record["other_config"].get(MARK, "")).split()
        if [*words[:1], *words[2:]] == [repository, vm, record["uuid"]] and record["is_a_snapshot"] and not record["VBDs"]:
            out.append((words[1], Found(ref, record)))
    return sorted(out, key=lambda found: (found[0], found[1].record["uuid"]))


def mark(repository: str, stamp: str, vm: str, uuid: str) -> str:
    """What such a snapshot bears: there is nothing else that tells whose it is. uuid: its own, for what is made of it inherits the mark."""
    return f"{repository} {stamp} {vm} {uuid}"


# reading ------------------------------------------------------------------------------
class Source:
    """Where a disk is served. vdi: its reference, size: what it has at least; plain: without TLS; timeout: seconds for each answer."""

    def __init__(self, session: Session, vdi: str, size: int, *, plain: bool, timeout: float):
        self._session, self._vdi, self._size, self._plain, self._timeout = session, vdi, size, plain, timeout

    def connected(self, turn: int) -> Client:
        """One of the hosts that serve the disk, another one at every turn. Raises NotByChanges, ConnectionFailed, Refused."""
        try:
            servers = self._session.call("VDI.get_nbd_info", self._vdi)
        except ApiError as e:
            raise NotByChanges(f"The pool does not tell where the disk is served: {e.message}") from e
        if not servers:
            raise NotByChanges("No host serves the disk over NBD.", hint="Give a network the purpose nbd (xen_network).")
        told = servers[turn % len(servers)]
        cert = "" if self._plain else told["cert"]
        address = str(told["address"]).partition("/")[0]
        client = Client(Server(address, int(told["port"]), told["exportname"], cert, told["subject"], self._timeout))
        if client.size < self._size:
            client.__exit__()
            raise NotByChanges(f"The disk has {self._size} bytes, over NBD only {client.size}.")
        return client

    def reached(self) -> Client:
        """As connected, tried several times. Raises NotByChanges, Unserved."""
        failed = 0
        while True:
            try:
                return self.connected(failed)
            except (ConnectionFailed, Refused) as e:
                failed = _bear(e, failed)


class Changes:
    """What changed of a disk from one snapshot to a later one, used with `with`.

    base, vdi: references of both, size: of the later one, in bytes; plain: NBD without TLS; timeout: seconds for each answer.
    Raises NotByChanges, also while the data is read.
    """

    def __init__(self, session: Session, base: str, vdi: str, size: int, *, plain: bool = False, timeout: float = 60.0):
        self.size, self._source = size, Source(session, vdi, size, plain=plain, timeout=timeout)
        try:
            bitmap = base64.b64decode(session.call("VDI.list_changed_blocks", base, vdi), validate=True)
        except (ApiError, ValueError) as e:
            raise NotByChanges(f"The pool does not tell what has changed: {getattr(e, 'message', e)}") from e
        self.extents = list(extents(bitmap, size))
        self._client: Client | None = None

    def __enter__(self) -> Changes:
        """Connected already where there is something to be read: that nobody serves the disk is said before a file is begun."""
        if self.extents:
            self._client = self._source.reached()
        return self

    def __exit__(self, *_error: object) -> None:
        self._hang_up()

    @property
    def data(self) -> int:
        """Bytes that are read."""
        return sum(length for _offset, length in self.extents)

    def plan(self, parent: vhd_write.Parent | None, *, whole: bool = False) -> vhd_write.Plan:
        """The file these changes make. whole: of the file's own blocks, which are larger than what is tracked, nothing is left out."""
        return vhd_write.plan(self.size, widened(self.extents, self.size) if whole else self.extents, parent)

    def pieces(self, plan: vhd_write.Plan, below: vhd_write.ReadAt | None = None) -> t.Iterator[bytes]:
        """That file, from its beginning to its end. below: reads what the disk was before, for what has not changed in a whole block."""
        coming = self._arriving()
        ahead: deque[tuple[int, bytearray]] = deque()

        def read(offset: int, length: int) -> bytes:
            found = bytearray(below(offset, length) if below else length)
            while (piece := ahead.popleft() if ahead else next(coming, None)) is not None:
                at = piece[0] - offset
                if at >= length:
                    ahead.append(piece)
                    break
                found[at : at + len(piece[1])] = piece[1]
            return bytes(found)

        yield from plan.pieces(read)

    def _arriving(self) -> t.Iterator[tuple[int, bytearray]]:
        """All that changed, in order. A connection that breaks is replaced, and goes on where it was."""
        left, failed = deque(requests(self.extents)), 0
        while left:
            try:
                client = self._client = self._client or self._source.connected(failed)
                for piece in client.read(list(left)):
                    left.popleft()
                    failed = 0
                    yield piece
            except (ConnectionFailed, Refused) as e:
                self._hang_up()
                failed = _bear(e, failed)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client:
            client.__exit__()


def _bear(error: XenError, failed: int) -> int:
    """How many attempts in a row have failed now. Raises NotByChanges for too many, or where more of them do not help."""
    if failed + 1 >= ATTEMPTS or isinstance(error, Untrusted):
        raise Unserved(f"The disk could not be read over NBD: {error.message}") from error
    time.sleep(PAUSE * 4**failed)
    return failed + 1


def extents(bitmap: bytes, size: int) -> t.Iterator[vhd_write.Extent]:
    """The stretches of a disk of that size that have their bits set; the first one is the highest of the first byte."""
    text = f"{int.from_bytes(bitmap, 'big'):0{8 * len(bitmap)}b}" if bitmap else ""
    for found in _CHANGED.finditer(text):
        start, end = found.start() * PART, min(found.end() * PART, size)
        if start < end:
            yield start, end - start


def widened(stretches: t.Iterable[vhd_write.Extent], size: int) -> t.Iterator[vhd_write.Extent]:
    """The blocks of a VHD that they touch."""
    for offset, length in stretches:
        start = offset // BLOCK * BLOCK
        yield start, min(-(-(offset + length) // BLOCK) * BLOCK, size) - start


def requests(stretches: t.Iterable[vhd_write.Extent]) -> t.Iterator[Piece]:
    """What is asked for at once: no more than is written at once."""
    for offset, length in stretches:
        end = offset + length
        while offset < end:
            count = min(PIECE - offset % PIECE, end - offset)
            yield offset, count
            offset += count
