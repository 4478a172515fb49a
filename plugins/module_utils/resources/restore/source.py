# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The VM of a backup as what is imported: an .xva that is made while it is sent, of a known length."""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ...backup.manifest import Disk
from ...formats import ova, xva, xva_read, xva_write
from ...formats.compression import Damaged, compression_of
from ...formats.files import Pieces, Readable
from ...formats.ova import Ova, Record
from ...formats.ova_edit import Description
from . import content, description, files
from .checking import Checks, Held
from .description import Wishes
from .files import METADATA, WHOLE, Part

if t.TYPE_CHECKING:
    from ...backup.subject import Backup


class BackupSource:
    """A VM in a backup. disks: those that are wanted; told: as it is called in messages; verify: before, during or never."""

    def __init__(
        self, backup: Backup, told: str, disks: t.Sequence[Disk], *, mark: str, name: str, bare: bool, identity: str, verify: str,
        checks: Checks,
    ):  # fmt: skip
        self.backup, self.told, self.disks, self._identity, self._verify, self._checks = backup, told, disks, identity, verify, checks
        self._wishes = Wishes({disk.device for disk in disks}, mark, name, bare=bare)
        self.size = 0
        self.stand_ins: t.Mapping[str, str] = {}  # the networks the pool has not are sent under these names

    @property
    def _packed(self) -> bool:
        """Whether the disks are in an .xva."""
        return bool(self.backup.manifest and self.backup.manifest.form == "xva")

    @property
    def sleeps(self) -> bool:
        """Whether the VM comes back suspended: the image of its memory is there, and all of its disks."""
        made = self.backup.manifest
        if made is None or not self._packed or len(self.disks) != len(made.disks):
            return False
        state, consistency = made.details.get("power_state"), made.details.get("consistency")
        return bool((consistency == "memory" and state != "Halted") or (state == "Suspended" and not made.left_out))

    # the description ------------------------------------------------------------------
    @functools.cached_property
    def _own(self) -> bytes:
        """The VM's own description. Raises Damaged, XenError."""
        with files.plain(files.needed(self.backup, METADATA), self._identity) as path:
            return xva.description_of(path)

    @functools.cached_property
    def _text(self) -> bytes:
        """Of what is planned with; of a VM whose disks are in an .xva another one is sent, which says the same of all that is planned."""
        sizes = {disk.device: disk.virtual_size for disk in self.disks}
        return description.edited(self._own, self._wished(sizes=sizes, awake=True))

    def _wished(self, **more: t.Any) -> Wishes:
        wishes = self._wishes
        return Wishes(wishes.devices, wishes.mark, wishes.name, bare=wishes.bare, **more)

    @functools.cached_property
    def ova(self) -> Ova:
        """Raises Damaged, XenError."""
        return ova.parse(self._text)

    @property
    def vm(self) -> Record:
        return self.ova.get("VM", self.ova.vms()[0])

    @property
    def nics(self) -> list[Record]:
        return ova.rows_of(self.ova, "VIF", self.ova.vms()[0], "device")

    # the files ------------------------------------------------------------------------
    @functools.cached_property
    def parts(self) -> list[Part]:
        """All files that are read. Raises Damaged."""
        data = (
            [files.needed(self.backup, WHOLE)]
            if self._packed
            else [part for disk in self.disks for part in files.parts_of(self.backup, disk)]
        )
        return [files.needed(self.backup, METADATA), *data]

    def refuse_bad(self) -> None:
        """Raises Damaged: at least for what is seen without reading all of it."""
        if self._verify == "before":
            self._checks.check(self.parts)
            return
        if self._verify == "during":
            self._checks.check(self.parts[:1])  # the description is needed before anything is sent
        for disk in self.disks:
            content.refuse_broken(self.backup, disk)

    def data(self) -> int:
        sizes = sum(disk.virtual_size for disk in self.disks)
        if self._packed:
            stored = self.parts[-1][1].size
            compression = self.backup.manifest.details.get("compression", "none") if self.backup.manifest else "none"
            return min(stored, sizes) if compression == "none" else 0
        return min(sum(stored.size for _backup, stored in self.parts[1:]), sizes)

    # to be sent -----------------------------------------------------------------------
    @contextlib.contextmanager
    def opened(self) -> t.Iterator[Readable]:
        """What is sent; size is known from here on."""
        with self._rewritten() if self._packed else self._written() as source:
            if self._verify != "during":
                yield source
                return
            with Held(source, self.size, lambda: self._checks.check(self.parts)) as held:
                yield held

    @contextlib.contextmanager
    def _written(self) -> t.Iterator[Readable]:
        """From VHDs."""
        with contextlib.ExitStack() as stack:
            text = description.on_stand_ins(self._text, self.stand_ins)
            refs, contents = description.devices(Description(text)), []
            for disk in self.disks:
                if disk.device not in refs:
                    raise Damaged(f"The description in {self.backup.path} does not hold disk {disk.device} ({disk.name!r}).")
                chain = stack.enter_context(files.chain(files.parts_of(self.backup, disk), self._identity))
                contents.append(xva_write.content(refs[disk.device], disk.virtual_size, chain.extents(), chain.read))
            plan = xva_write.plan(text, contents)
            self.size = plan.length
            yield Pieces(plan.pieces())

    @contextlib.contextmanager
    def _rewritten(self) -> t.Iterator[Readable]:
        """From an .xva: its blocks and their checksums as they are."""
        with contextlib.ExitStack() as stack:
            path = stack.enter_context(files.plain(self.parts[-1], self._identity))
            file = stack.enter_context(open(path, "rb", buffering=0))
            given = xva.description_of(path)
            text = description.edited(given, self._wished(own=self._own, awake=not self.sleeps))
            text = description.on_stand_ins(text, self.stand_ins)
            without = set(ova.parse(given).disks()) - set(ova.parse(text).disks())
            self.size = xva_read.length(path, text, without)
            compression = compression_of(file.read(4))
            file.seek(0)
            yield Pieces(xva_read.described(file, compression, text, without))
