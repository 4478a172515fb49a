# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests left when they crashed. Rules: xen-api ocaml/xapi/xapi_crashdump.ml."""

from __future__ import annotations

import typing as t

from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("crashdump.destroy")
def destroy(call: Call, self: str) -> None:
    """With its disk."""
    vdi = call.db.get("crashdump", self)["VDI"]
    call.db.destroy("crashdump", self)
    if call.db.exists("VDI", vdi):
        call.call("VDI.destroy", vdi)
