# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual disk as a file on the machine the task runs on (xen-api: ocaml/xapi/export_raw_vdi.ml)."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t
from pathlib import Path

from ... import stream
from ...errors import InvalidChange, XenError
from ...fields import Table
from ...formats import disk_note, images, vhd, vhd_read
from ...formats.disk_note import Note
from ...formats.files import Landing, refuse_bad_target, sha256_of, target_of, workshop
from ...plan import Plan
from ...refs import Record
from ...resource import Found, Resource
from .resource import Vdi

GET = "http/get_export_raw_vdi"  # as xapi calls the permission
FORMATS = ("raw", "vhd", "qcow2")


class VdiExport(Resource):
    table = Table("VDI", ())
    states = ()
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "name": {"type": "str"},
        "sr": {"type": "str"},
        "dest": {"type": "path", "required": True},
        "format": {"type": "str", "choices": list(FORMATS), "default": "vhd"},
        "base": {"type": "str"},
        "force": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 86400},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["name", "uuid"]]}

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self.dest = target_of(params["dest"])
        self.vdis = Vdi(session, {**params, "state": "present", "move": False})
        self.vdis.objects = self.objects

    @classmethod
    def key(cls) -> str:
        return "export"

    # looking --------------------------------------------------------------------------
    def find(self) -> Found:
        """Also a snapshot, by uuid or where nothing else has the name. Raises NotFound, Ambiguous."""
        sr = self.objects.resolve("SR", self.params["sr"]) if self.params.get("sr") else ""
        text = self.params.get("uuid") or self.params["name"]
        return Found(*self.vdis.resolve(text, lambda r: sr in ("", r["SR"])))

    def _base(self) -> str:
        """The uuid of the disk that only differences to are exported; "" for none."""
        if not self.params.get("base"):
            return ""
        if self.params["format"] != "vhd":
            raise InvalidChange(f"Only a VHD can hold differences, not {self.params['format']}.", hint="Set format: vhd.")
        return str(self.vdis.resolve(self.params["base"], lambda _record: True)[1]["uuid"])

    def observe(self, found: Found) -> dict[str, t.Any]:
        """What lies at dest, if that is this disk."""
        lies = disk_note.of(self.dest)
        if lies is None or lies.vdi != found.record["uuid"] or not disk_note.is_whole(self.dest, lies.sha256):
            return {}
        return {"dest": str(self.dest), "vdi": lies.vdi, "format": lies.format, "base": lies.base}

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        lies = disk_note.of(self.dest)
        told = lies.told() if lies and all(lies.told().get(key) == plan.after.get(key) for key in ("vdi", "format", "base")) else {}
        name = {"name": found.record["name_label"]} if found else {}
        return {**plan.after, **name, **told, "manifest": str(disk_note.place(self.dest))}

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        if found is None:
            raise InvalidChange("There is no disk to export.")
        if self.dest.is_dir():
            refuse_bad_target(self.dest)
        before = self.observe(found)
        after = {"dest": str(self.dest), "vdi": found.record["uuid"], "format": self.params["format"], "base": self._base()}
        plan = Plan(before, after)
        if before == after and not self.params["force"]:
            return plan
        refuse_bad_target(self.dest)
        self._refuse(found)
        plan.add(GET, found.ref, what=f"export disk {found.record['name_label']!r}", run=self._fetch(found, after["base"]))
        return plan

    def _refuse(self, found: Found) -> None:
        label = f"disk {found.record['name_label']!r}"
        if self.dest.exists() and not self.params["force"] and disk_note.is_ours(self.dest) != found.record["uuid"]:
            raise InvalidChange(
                f"{self.dest} is there already, and is no export of {label} made by this module.",
                hint="Give another dest, or force: true to write over it.",
            )
        rows = self.vdis.storage.vbds(found.ref).values()
        writers = [vbd for vbd in rows if vbd["currently_attached"] and vbd["mode"] == "RW"]
        if writers:
            vm = self.objects.get("VM", writers[0]["VM"])["name_label"]
            raise InvalidChange(
                f"The {label} cannot be exported while VM {vm!r} writes to it.",
                hint="Take a snapshot (xen_vdi with snapshot_of) and export that, or halt the VM.",
            )
        if self.params["format"] == "vhd":
            vhd.refuse_bad_size(int(found.record["virtual_size"]))
        if self.params["format"] == "qcow2":
            images.refuse_missing_qemu_img(f"The {label}")

    # carrying out -----------------------------------------------------------------------
    def _fetch(self, found: Found, base: str) -> t.Callable[[str], None]:
        def fetch(ref: str) -> None:
            if self.params["format"] == "qcow2":
                self._converted(found, ref)
            else:
                self._download(ref, self.params["format"], base, self.dest, lambda file: self._checked(found, file))
            disk_note.publish(self.dest)

        return fetch

    def _download(self, ref: str, form: str, base: str, target: Path, seal: t.Callable[[Landing], None] | None) -> None:
        query = {"vdi": ref, "format": form, **({"base": base} if base else {})}
        what = f"Export of disk to {self.dest.name}"
        timeout = float(self.params["wait_timeout"])
        stream.download(self.session, "/export_raw_vdi", query, target, what=what, timeout=timeout, sparse=form == "raw", seal=seal)

    def _converted(self, found: Found, ref: str) -> None:
        """By way of a VHD, which holds only the blocks that are used; where it is too large for one, of a raw file with holes."""
        by = "vhd" if int(found.record["virtual_size"]) <= vhd.BIGGEST else "raw"
        with self._workshop() as folder:
            came, made = folder / "disk", folder / "disk.qcow2"
            self._download(ref, by, "", came, None)
            images.convert(came, made, "qcow2", source_format=by)
            came.unlink()
            self._seal(found, made.stat().st_size, sha256_of(made))
            with made.open("rb") as file:
                os.fchmod(file.fileno(), 0o600)
                os.fsync(file.fileno())
            os.replace(made, self.dest)

    @contextlib.contextmanager
    def _workshop(self) -> t.Iterator[Path]:
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(workshop(self.dest))
            except BlockingIOError:
                raise XenError(f"Another task is writing {self.dest}.", hint="Wait for it, or give another name.") from None
            except OSError as e:
                raise XenError(f"{self.dest} could not be written: {e.strerror}.") from e
            yield folder

    def _checked(self, found: Found, file: Landing) -> None:
        """Raises Damaged for a VHD whose structure is not sound. Nothing else has something to check."""
        if self.params["format"] == "vhd":
            vhd_read.verify(file.temporary)
        self._seal(found, file.size, file.sha256)

    def _seal(self, found: Found, size: int, sha256: str) -> None:
        record, base = found.record, self._base()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        virtual = int(record["virtual_size"])
        disk_note.announce(self.dest, Note(record["uuid"], record["name_label"], self.params["format"], base, size, sha256, virtual, now))
