# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fields of a virtual disk and the options of the module."""

from __future__ import annotations

import typing as t

from ...fields import Field, Table
from .attachments import ATTACHED_TO

TYPES = ("user", "system", "ephemeral", "suspend", "metadata", "rrd", "pvs_cache", "crashdump", "ha_statefile", "redo_log", "cbt_metadata")
LATER = (
    Field("on_boot", "on_boot", default="persist", choices=("persist", "reset"), creatable=False),
    Field("allow_caching", "allow_caching", "bool", default=False, creatable=False),
)
TABLE = Table(
    "VDI",
    (
        Field("name_label", "name"),
        Field("name_description", "description", default=""),
        Field("type", "type", default="user", choices=TYPES, writable=False),
        Field("read_only", "read_only", "bool", default=False, writable=False),
        Field("sharable", "sharable", "bool", default=False, writable=False),
        Field("tags", "tags", "tags", default=[]),
        Field("xenstore_data", "xenstore_data", "dict", default={}),
        *LATER,
    ),
)
OPTIONS: dict[str, dict[str, t.Any]] = {
    "sr": {"type": "str"},
    "move": {"type": "bool", "default": False},
    "size": {"type": "str"},
    "image_format": {"type": "str", "choices": ["vhd", "raw", "qcow2"]},
    "other_config": {"type": "dict"},
    "cbt": {"type": "bool"},
    "source": {"type": "str"},
    "source_sr": {"type": "str"},
    "snapshot_of": {"type": "str"},
    "attached_to": ATTACHED_TO,
    "allow_disruption": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 3600},
}
