# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SR as it is or is to be, and its words."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...fields import Field, Table
from ...hosts import pool_of
from ...refs import Objects
from ...resource import Found
from . import types
from .pbds import config_of, hosts_in_order, pbds_of
from .types import Config

TABLE = Table(
    "SR",
    (
        Field("shared", "shared", "bool", default=False),
        Field("name_label", "name", required=True),
        Field("name_description", "description", default=""),
        Field("type", "type", writable=False),
        Field("content_type", "content_type", writable=False),
        Field("tags", "tags", "tags", default=[]),
        Field("other_config", "other_config", "dict", default={}),
    ),
)


def part(*options: str) -> Table:
    """Some rows of the table."""
    return Table("SR", tuple(f for f in TABLE.fields if f.option in options))


@dataclass(frozen=True)
class State:
    """fields: the table's options; hosts have a PBD, attached ones have it plugged (references, in order)."""

    fields: dict[str, t.Any]
    sm_config: dict[str, str]
    config: Config
    hosts: list[str]
    attached: list[str]
    default: bool

    @classmethod
    def of(cls, found: Found, objects: Objects) -> State:
        pbds = pbds_of(objects, found.ref)
        attached = [host for host, (_ref, pbd) in pbds.items() if pbd["currently_attached"]]
        default = bool(pool_of(objects)[1]["default_SR"] == found.ref)
        return cls(TABLE.observe(found.record, objects), dict(found.record["sm_config"]), config_of(pbds), list(pbds), attached, default)

    def told(self, objects: Objects) -> dict[str, t.Any]:
        """In the words of the options."""
        shared = self.fields["shared"]
        complete = set(self.attached) >= set(hosts_in_order(objects)) if shared else bool(self.attached)
        return {
            **self.fields,
            "sm_config": {k: v for k, v in self.sm_config.items() if k not in types.DRIVER_SM_KEYS},
            "default": self.default,
            "attach": "all" if complete else "as_is",
            **({} if shared or not self.hosts else {"host": objects.label("host", self.hosts[0])}),
            **types.described(types.of_name(self.fields["type"]), self.config),
        }
