# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration inside a pool. Rules: xen-api ocaml/xapi/xapi_vm_migrate.ml, message_forwarding.ml."""

from __future__ import annotations

import typing as t

from .. import migration
from ..vm_running import running
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("VM.pool_migrate")
def pool_migrate(call: Call, vm: str, host: str, options: dict[str, str]) -> None:
    """To a host of the pool, its own among them; storage and networks must be there already."""
    strict = options.get("force") != "true"
    call.db.get("host", host)
    with running(call, vm, "pool_migrate", strict=strict) as task:
        migration.check(call, vm, host, options)
        migration.relocate(call, vm, host, task)
