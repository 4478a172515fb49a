# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool's database from a backup. The coordinator looks first whether it can take it, then reboots with it, alone in its pool.

The mark that tells what was restored is in the database that is sent: whatever is cut off, the pool itself says afterwards how it ended.
Source: xen-api, ocaml/xapi/pool_db_backup.ml.
"""

from __future__ import annotations

import functools
import typing as t

from ... import hosts, stream
from ...errors import ApiError, InvalidChange
from ...fields import Table
from ...formats import db_dump
from ...formats.db_dump import Dump
from ...formats.db_mark import marked
from ...formats.files import Pieces
from ...plan import Plan
from ...refs import Objects
from ...resource import Found
from ...vms import guests
from . import aftermath, files
from .base import Restore
from .checking import Checks
from .description import RESTORED

FILE = "pool.xml"
PATH, PUT = "/pool/xmldbdump", "http/put_pool_xml_db_sync"  # as xapi calls the permission
REFUSALS = ("RESTORE_INCOMPATIBLE_VERSION", "RESTORE_TARGET_MISSING_DEVICE", "RESTORE_TARGET_MGMT_IF_NOT_IN_BACKUP")


class PoolRestore(Restore):
    kind = "pool"
    table = Table("pool", ())
    _what_for = "the database of a pool is restored whole"

    # looking --------------------------------------------------------------------------
    def find(self) -> Found:
        """The pool that is asked, whichever that is."""
        self.refuse_options("sr", "networks", "preserve", "new_name", "start", "disks", "onto", "replace", "remove_replaced")
        return Found(*hosts.pool_of(self.objects))

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {"restored": found.record["other_config"].get(RESTORED, "")}

    @functools.cached_property
    def _data(self) -> bytes:
        """The dump. Raises Damaged, XenError."""
        part = files.needed(self.backup, FILE)
        if self.params["verify"] != "never":
            Checks(self.subject, self.backup).check([part])
        with files.plain(part, str(self.params.get("identity") or "")) as path:
            return path.read_bytes()

    @functools.cached_property
    def _marked(self) -> bytes:
        """The dump as it is sent."""
        return marked(self._data, RESTORED, self.manifest.id)

    @functools.cached_property
    def _dump(self) -> Dump:
        reading = db_dump.Reading()
        reading.feed(self._data)
        return reading.finish()

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        found = t.cast("Found", found)
        before = self.observe(found)
        plan = Plan(before, {"restored": self.manifest.id})
        plan.warnings += self.passed_over
        stays = self._runs_restored(found)
        rows = self.objects.all("host").values() if stays or before == plan.after else ()
        here = {str(row[key]) for row in rows for key in ("uuid", "address")}
        plan.facts.update(backup=self.backup.told(), **aftermath.told(self._dump, here))
        if before != plan.after and stays:
            plan.after = dict(before)
            plan.warnings.append(
                f"Pool {self.pool_name!r} runs with a restored database already; name the backup (its stamp) to restore another one."
            )
            return plan
        if before != plan.after:
            self._refuse(found)
            self._rehearse()
            if self.params["dry_run"]:
                plan.after = dict(before)
                return plan
            told = f"replace the database of pool {self.pool_name!r} and reboot host {self._coordinator!r}{aftermath.losses(self.objects)}"
            plan.add(PUT, found.ref, what=f"restore {self.told}", run=self._upload, disruptive=told)
        elif self.params["dry_run"] or self._is_back() is True:
            return plan
        plan.wait("the coordinator to be back", self._is_back, timeout=float(self.params["host_timeout"]))
        return plan

    def _runs_restored(self, found: Found) -> bool:
        """The newest backup may be of the restored pool itself: who asks for it once more does not mean to go back to it."""
        mine = found.record["uuid"] == self._dump.pool["uuid"] and RESTORED in found.record["other_config"]
        return mine and self.params["backup"] == "newest" and not self.params["dry_run"]

    @property
    def pool_name(self) -> str:
        return str(hosts.pool_of(self.objects)[1]["name_label"])

    @property
    def _coordinator(self) -> str:
        return hosts.name_of(self.objects, hosts.coordinator(self.objects))

    def _refuse(self, found: Found) -> None:
        """Raises InvalidChange."""
        if found.record["ha_enabled"]:
            raise InvalidChange(
                f"Pool {self.pool_name!r} has high availability on.", hint="Turn it off first (xen_pool with ha: {enabled: false})."
            )
        self._refuse_running_elsewhere()
        if not self.session.renewable and not self.params["dry_run"]:
            raise InvalidChange(
                f"Host {self._coordinator!r} reboots; a session that was handed over ends with it.",
                hint="Give username and password beside session.",
            )

    def _refuse_running_elsewhere(self) -> None:
        """The restored pool knows nothing of what its former members run, and would start it a second time on the same disks."""
        here = hosts.coordinator(self.objects)
        rows = [vm for vm in guests(self.objects).values() if vm["power_state"] in ("Running", "Paused") and vm["resident_on"] != here]
        if rows and not self.params["dry_run"]:
            vm = min(rows, key=lambda row: str(row["name_label"]))
            raise InvalidChange(
                f"VM {vm['name_label']!r} runs on host {hosts.name_of(self.objects, vm['resident_on'])!r}, which gets out of the pool: "
                "it could be started a second time, on the same disks.", hint="Halt such VMs, and turn these hosts off first.",
            )  # fmt: skip

    def _rehearse(self) -> None:
        """The coordinator looks whether it can take it; nothing is changed. Raises InvalidChange, ApiError."""
        try:
            self._send(f"Look at {self.told}", {"dry_run": "true"})
        except ApiError as e:
            raise self._explained(e) from e

    def _explained(self, e: ApiError) -> ApiError | InvalidChange:
        """What can be done about it."""
        if e.code not in REFUSALS:
            e.hint = e.hint or "The coordinator's log (/var/log/xensource.log) tells more."
            return e
        here, its = self._coordinator, self._dump.coordinator["name_label"]
        if e.code == "RESTORE_INCOMPATIBLE_VERSION":
            mine = self.objects.get("host", hosts.coordinator(self.objects))["software_version"]
            release = " ".join(filter(None, (self.manifest.release.get("product_brand"), self.manifest.release.get("product_version"))))
            told = (
                f"The {self.told} has a database of version {self._dump.schema} ({release}), "
                f"host {here!r} of version {mine.get('db_schema', 'unknown')}."
            )
            hint = f"Install the host with {release or 'the release of the backup'} and its updates, restore, and upgrade then."
        elif e.code == "RESTORE_TARGET_MISSING_DEVICE":
            device = "".join(e.params[:1])
            told = f"The coordinator of the {self.told}, {its!r}, has a network card {device}, which host {here!r} does not have."
            hint = "Restore to a host with as many cards of the same names."
        else:
            told = (
                f"Host {here!r} is managed through an interface which the coordinator of the {self.told}, {its!r}, does not have; "
                f"that one has {', '.join(sorted(e.params)) or 'others'}."
            )
            hint = "Manage the host through one of these first (xen_pif with management: true)."
        return InvalidChange(told, hint=hint, code=e.code, params=e.params)

    # working --------------------------------------------------------------------------
    def _upload(self, _pool: str) -> None:
        try:
            self._send(f"Restore of {self.told}", {})
        except ApiError as e:
            raise self._explained(e) from e

    def _send(self, what: str, query: stream.Query) -> None:
        size, timeout = len(self._marked), float(self.params["wait_timeout"])
        stream.upload(self.session, PATH, query, Pieces([self._marked]), size, what=what, timeout=timeout)

    def _is_back(self) -> object:
        """True for a coordinator that runs with the restored database; else what is missing."""
        fresh = Objects(self.session)
        _ref, record = hosts.pool_of(fresh)
        if record["other_config"].get(RESTORED) != self.manifest.id:
            return "it has not rebooted"
        host = fresh.get("host", record["master"])
        if not hosts.is_live(fresh, record["master"]):
            return "it is not live"
        return True if host["enabled"] else "it has not finished its start"

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        restored = plan.after.get("restored") == self.manifest.id
        name, uuid = self._dump.pool["name_label"], self._dump.pool["uuid"]
        told = {"name": name, "uuid": uuid, "coordinator": self._dump.coordinator["name_label"], "restored": restored}
        here = found is not None and found.record["other_config"].get(RESTORED) == self.manifest.id
        return {**told, "unattached": aftermath.unattached(self.objects) if here else []}
