# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule about data that lies on the target already. The documentation of xen_sr tells it to users."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange, NotFound
from ...refs import Objects
from .probe import Existing
from .types import SrType

Choice = t.Literal["auto", "introduce", "keep", "overwrite"]


def to_introduce(row: SrType, found: list[Existing], objects: Objects, *, name: str, uuid: str, choice: Choice) -> Existing | None:
    """Which of the SRs on the target the pool takes in; None: a new one is created.

    Raises InvalidChange where something would be lost or it is not clear what is meant, NotFound for a uuid that is not there.
    """
    _refuse_meaningless(row, choice)
    ours = {r["uuid"]: r["name_label"] for r in objects.all("SR").values()}
    if row.place == "whole" and (known := [s for s in found if s.uuid in ours]):
        raise InvalidChange(f"The target holds SR {ours[known[0].uuid]!r} of this pool.", hint="Give another LUN or device.")
    others = [s for s in found if s.uuid not in ours]
    if uuid:
        # nobody can look at a library of files; it is the one the task says
        return _named(others, uuid, name) if row.place else Existing(uuid)
    if not others or choice in ("keep", "overwrite"):
        return None
    if len(others) > 1:
        raise InvalidChange(f"The target holds {len(others)} SRs: {_told(others)}.", hint=f"Name one with uuid, or set {_way_out(row)}.")
    if choice == "introduce" or (row.place == "whole" and others[0].name in ("", name)):
        return _of_type(row, others[0])
    raise InvalidChange(
        f"The target holds an SR this pool does not know: {_told(others)}.",
        hint=f"Set existing: introduce to take it in with its disks (no other pool may use it), or {_way_out(row)}.",
    )


def _way_out(row: SrType) -> str:
    return "existing: overwrite to lose it" if row.place == "whole" else "existing: keep to create a new one beside it"


def _refuse_meaningless(row: SrType, choice: Choice) -> None:
    if choice == "keep" and row.place == "whole":
        raise InvalidChange(f"existing: keep is not possible: an SR of type {row.name} takes the whole device.")
    if choice == "overwrite" and row.place != "whole":
        raise InvalidChange(
            f"existing: overwrite has no meaning: creating an SR of type {row.name} writes over nothing.", hint="Use existing: keep."
        )


def _named(found: list[Existing], uuid: str, name: str) -> Existing:
    for sr in found:
        if sr.uuid == uuid:
            return sr
    held = f"The target holds: {_told(found)}." if found else "The target holds no SR."
    raise NotFound(
        f"SR {name!r} with uuid {uuid} is neither in the pool nor on the target.", hint=f"{held} Leave uuid out to create a new SR."
    )


def _of_type(row: SrType, sr: Existing) -> Existing:
    if sr.type and sr.type != row.name:
        raise InvalidChange(
            f"The target holds an SR of type {sr.type}: {_told([sr])}.", hint=f"Set type: {sr.type}, or existing: overwrite to lose it."
        )
    return sr


def _told(found: list[Existing]) -> str:
    return ", ".join(f"{s.name!r} ({s.uuid})" if s.name else s.uuid for s in found)
