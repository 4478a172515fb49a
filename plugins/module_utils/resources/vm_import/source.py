# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file a VM comes from: what it is, whether it is sound, and which one it is."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from pathlib import Path

from ...errors import InvalidChange
from ...formats import manifest, ova, xva
from ...formats.checked import Checked
from ...formats.compression import Damaged
from ...formats.files import sha256_of
from ...formats.manifest import Manifest
from ...formats.ova import Ova, Record


class Source:
    """verify: before, during or never. Everything is read once at most."""

    def __init__(self, path: str, verify: str):
        self.path, self.verify = Path(path), verify
        self._checked: xva.Contents | None = None

    @property
    def told(self) -> str:
        return str(self.path)

    # what is in it --------------------------------------------------------------------
    @functools.cached_property
    def ova(self) -> Ova:
        """Raises Damaged, InvalidChange."""
        described = xva.look_into(self.path)[1]
        if not self._main(described):
            raise InvalidChange(f"{self.path} holds no VM.")
        return described

    @staticmethod
    def _main(described: Ova) -> str:
        return next((ref for ref in described.vms() if not described.get("VM", ref).get("is_a_snapshot")), "") or next(
            iter(described.vms()), ""
        )

    @property
    def vm(self) -> Record:
        """The VM that the file is about."""
        return self.ova.get("VM", self._main(self.ova))

    @property
    def nics(self) -> list[Record]:
        """The VIFs of the VM."""
        return ova.rows_of(self.ova, "VIF", self._main(self.ova), "device")

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return self.path.stat().st_size

    # which file ---------------------------------------------------------------------------
    @functools.cached_property
    def noted(self) -> Manifest | None:
        """Its manifest, if there is one of a file of this size."""
        return manifest.of(self.path)

    def sha256(self) -> str:
        """From the manifest, which is checked when the file is; else from the file. Raises Damaged."""
        if self._checked:
            return self._checked.sha256
        return self.noted.sha256 if self.noted else self._hashed

    @functools.cached_property
    def _hashed(self) -> str:
        try:
            return sha256_of(self.path)
        except OSError as e:
            raise Damaged(f"{self.path} cannot be read: {e.strerror}.") from e

    def check(self) -> xva.Contents:
        """All of it, once. Raises Damaged."""
        if self._checked is None:
            found = xva.verify(self.path)
            known = self.noted.sha256 if self.noted else self.__dict__.get("_hashed", found.sha256)
            if found.sha256 != known:
                raise Damaged(f"{self.path} is not the file that was exported: its SHA-256 is {found.sha256}, not {known}.")
            self._checked = found
        return self._checked

    def refuse_bad(self) -> None:
        """Checked, if that is wanted before. Raises Damaged, InvalidChange for a description without the disks' data."""
        if self.verify == "before":
            self.check()
        bare = self._checked.metadata_only if self._checked else bool(self.noted and self.noted.metadata_only)
        if bare and self.ova.disks():
            raise InvalidChange(f"{self.path} holds the description of a VM only, not what is on its disks.", hint="Export all of it.")

    def data(self) -> int:
        """About how many bytes the disks will take where zeros take nothing."""
        if self._checked:
            return self._checked.data
        return min(self.size, sum(self.ova.disks().values())) if xva.look_into(self.path)[0] == "none" else 0

    # to be sent -------------------------------------------------------------------------
    @contextlib.contextmanager
    def opened(self) -> t.Iterator[t.Any]:
        if self.verify != "during":
            yield self.path
            return
        with Checked(self.path, self.size, self.sha256()) as source:
            yield source
