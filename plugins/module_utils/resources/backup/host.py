# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control domain of a host as an archive, as its own script makes it. Source: xen-api, ocaml/xapi/xapi_host_backup.ml."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ... import hosts, stream
from ...errors import InvalidChange, XenError
from ...fields import Table
from ...formats.compression import Damaged
from ...plan import Plan
from ...refs import Record
from ...resource import Found
from . import reading_back
from .base import COMMIT, Backup

FILE = "host.tar"
PATH, GET = "/host_backup", "http/get_host_backup"  # as xapi calls the permission
HEAD = 262  # bytes of an archive that tell what it is
PACKED = {b"\x1f\x8b": ("gzip", ".gz"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst"), b"BZh": ("bzip2", ".bz2"), b"\xfd7zXZ": ("xz", ".xz")}


class HostBackup(Backup):
    kind = "host"
    table = Table("host", ())

    def __init__(self, session: t.Any, params: t.Any):
        super().__init__(session, params)
        self._created, self._packing = 0.0, ""

    def find(self) -> Found:
        """The host of that name, uuid or address, or the only one. Raises NotFound, Ambiguous, InvalidChange."""
        return find(self.objects, self.params)

    def steps(self, plan: Plan, found: Found) -> None:
        reading_back.refuse(self.params)
        label = found.record["name_label"]
        if not hosts.is_live(self.objects, found.ref):
            raise InvalidChange(f"Host {label!r} does not answer.", hint="Its control domain can be read while it runs only.")
        plan.after.update(form="archive", parent="", disks=[])
        plan.add(GET, found.ref, what=f"fetch the control domain of host {label!r}", run=self._fetch)
        plan.add(COMMIT, what=f"complete the backup of host {label!r}", run=self._commit)

    def _fetch(self, ref: str) -> None:
        record = self.objects.get("host", ref)
        self._created = time.time()
        head = bytearray()

        def fill(file: t.Any) -> None:
            def write(piece: memoryview) -> None:
                if len(head) < HEAD:
                    head.extend(piece[: HEAD - len(head)])
                file.write(piece)

            what, timeout = f"Backup of host {record['name_label']}", float(self.params["wait_timeout"])
            stream.receive(self.session, PATH, {}, write, what=what, host=record["address"], timeout=timeout, note=self.stale.note)
            if not head:
                raise Damaged(f"Host {record['name_label']!r} sent an archive of nothing.", hint="Run the task again.")

        stored = self.land(FILE, fill, reading_back.same if self.params["verify"] else None)
        self._packing, suffix = packing_of(bytes(head))
        if not self._packing:
            self.warn(f"What host {record['name_label']!r} sent begins like no archive that is known here; it is kept as it is.")
        if suffix:
            self._rename(stored.name, stored.name.replace(FILE, f"{FILE}{suffix}", 1))

    def _rename(self, old: str, new: str) -> None:
        """The file is called what it is, now that this is known. Raises XenError."""
        try:
            (self.draft.path / old).rename(self.draft.path / new)
        except OSError as e:
            raise XenError(f"{self.draft.path / old} could not be renamed: {e.strerror}.") from e
        self._stored = [dataclasses.replace(one, name=new) if one.name == old else one for one in self._stored]

    def _commit(self) -> None:
        record = self._found.record
        told = {key: str(record["software_version"].get(key, "")) for key in ("product_brand", "product_version", "xapi")}
        pool = hosts.pool_of(self.objects)[1]
        details = {"address": record["address"], "packing": self._packing, "coordinator": pool["master"] == self._found.ref}
        self.commit(form="archive", created=self._created, release=told, details=details)


def find(objects: t.Any, params: Record) -> Found:
    """The host a task means. Raises NotFound, Ambiguous, InvalidChange."""
    text, rows = params.get("uuid") or params.get("name"), objects.all("host")
    if not text and len(rows) > 1:
        raise InvalidChange(f"The pool has {len(rows)} hosts.", hint="Say with name which one is meant.")
    ref = hosts.resolve(objects, text) if text else next(iter(rows))
    return Found(ref, rows[ref])


def packing_of(head: bytes) -> tuple[str, str]:
    """none, gzip, ... and the suffix such a file has; "" for what is no archive."""
    for magic, told in PACKED.items():
        if head.startswith(magic):
            return told
    return ("none", "") if head[257:262] == b"ustar" else ("", "")
