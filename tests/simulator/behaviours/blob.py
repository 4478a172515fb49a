# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small binary data kept with an object (xen-api: ocaml/xapi/xapi_blob.ml)."""

from __future__ import annotations

from ..dispatch import Call
from ..errors import Fault
from . import message

_OWNERS = ("pool", "VM", "host", "network", "SR")
DEFAULT_TYPE = "application/octet-stream"


def _new(call: Call, mime_type: str, public: bool, **fields: str) -> str:
    return call.db.create("blob", mime_type=mime_type or DEFAULT_TYPE, public=public, size=0, **fields)


@message("blob.create")
def create(call: Call, mime_type: str, public: bool) -> str:
    """Empty until something is PUT to /blob."""
    return _new(call, mime_type, public)


@message("blob.destroy")
def destroy(call: Call, ref: str) -> None:
    """With its data."""
    uuid = call.db.get("blob", ref)["uuid"]
    call.db.destroy("blob", ref)
    (call.world.folder / "blobs" / uuid).unlink(missing_ok=True)


def _attach(cls: str) -> None:
    @message(f"{cls}.create_new_blob")
    def create_new_blob(call: Call, owner: str, name: str, mime_type: str, public: bool) -> str:
        """A blob under a name that the object does not use yet. Raises INTERNAL_ERROR otherwise."""
        if name in call.db.get(cls, owner)["blobs"]:
            raise Fault("INTERNAL_ERROR", f'Failure("Blob with this name already exists: {name}")')
        ref = _new(call, mime_type, public, name_label=name)
        call.db.add_to_map(cls, owner, "blobs", name, ref)
        return ref


for _cls in _OWNERS:
    _attach(_cls)
