# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database of a pool: what it knows of its hosts, storage, networks and VMs. Source: xen-api, ocaml/xapi/pool_db_backup.ml."""

from __future__ import annotations

import time
import typing as t

from ... import hosts, stream
from ...backup.manifest import Who
from ...errors import InvalidChange
from ...fields import Table
from ...formats import db_dump
from ...formats.compression import Damaged
from ...plan import Plan
from ...refs import Objects
from ...resource import Found
from ..vm_export import release_of
from . import reading_back
from .base import COMMIT, Backup

FILE = "pool.xml"
PATH, GET = "/pool/xmldbdump", "http/get_pool_xml_db_sync"  # as xapi calls the permission


class PoolBackup(Backup):
    kind = "pool"
    table = Table("pool", ())

    def __init__(self, session: t.Any, params: t.Any):
        super().__init__(session, params)
        self._dump = db_dump.Dump()
        self._created = 0.0

    def find(self) -> Found:
        """The pool that is asked. Raises InvalidChange where the task names another one."""
        ref, record = hosts.pool_of(self.objects)
        who = self.who(Found(ref, record))
        for option, value in (("name", who.name), ("uuid", who.uuid)):
            wanted = self.params.get(option)
            if wanted and wanted not in (value, who.uuid):
                raise InvalidChange(f"The pool's {option} is {value!r}, not {wanted!r}.", hint="Address the other pool, or leave it out.")
        return Found(ref, record)

    def who(self, found: Found) -> Who:
        return self.pool

    def steps(self, plan: Plan, found: Found) -> None:
        reading_back.refuse(self.params)
        name = self.pool.name
        plan.after.update(form="dump", parent="", disks=[])
        plan.add(GET, found.ref, what=f"dump the database of pool {name!r}", run=self._fetch)
        plan.add(COMMIT, what=f"complete the backup of pool {name!r}", run=self._commit)

    def _fetch(self, _pool: str) -> None:
        known = {record["uuid"]: record["name_label"] for record in self.objects.all("host").values()}
        self._created = time.time()

        def fill(file: t.Any) -> None:
            reading = db_dump.Reading()

            def write(piece: memoryview) -> None:
                reading.feed(piece)
                file.write(piece)

            what, timeout = f"Backup of the database of {self.pool.name}", float(self.params["wait_timeout"])
            stream.receive(self.session, PATH, {}, write, what=what, timeout=timeout, note=self.stale.note)
            self._dump = reading.finish()
            self.compare(self._dump, known)

        self.land(FILE, fill, reading_back.same if self.params["verify"] else None)

    def compare(self, dump: db_dump.Dump, known: dict[str, str]) -> None:
        """It is of this pool, and has all its hosts (names by uuid); one that left meanwhile is not missed. Raises Damaged."""
        if dump.pool["uuid"] != self.pool.uuid:
            raise Damaged(f"The dump is of pool {dump.pool['uuid']}, not of {self.pool.name!r} ({self.pool.uuid}).")
        there = {row["uuid"] for row in dump.tables["host"].values()}
        now = {record["uuid"] for record in Objects(self.session).all("host").values()} if known.keys() - there else set()
        if missing := sorted(known[uuid] for uuid in (known.keys() - there) & now):
            raise Damaged(f"The dump lacks the host {', '.join(missing)}.", hint="Run the task again.")

    def _commit(self) -> None:
        dump = self._dump
        rows = {name: len(dump.tables[table]) for name, table in (("srs", "SR"), ("networks", "network"))}
        details = {
            "schema": dump.schema, "generation": dump.generation, "hosts": db_dump.hosts(dump), **rows,
            "vms": sum(db_dump.is_vm(vm) for vm in dump.tables["VM"].values()), "rows": sum(dump.counts.values()),
        }  # fmt: skip
        self.commit(form="dump", created=self._created, release=release_of(self.objects), details=details)
