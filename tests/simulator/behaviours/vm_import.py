# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs fetched from an address, by the host itself. Rules: xen-api ocaml/xapi/xapi_vm.ml (import)."""

from __future__ import annotations

import functools
import http.client
import ssl
import threading
import typing as t
import urllib.error
import urllib.request

from ..errors import Fault
from ..importing import Wanted
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

PIECE = 1 << 20
PATIENCE = 60.0  # seconds for the other side to say something
LOOKS = 0.05  # seconds after which the caller looks whether it is done


@message("VM.import")
def import_vm(call: Call, url: str, sr: str, full_restore: bool, force: bool) -> list[str]:
    """Others go on meanwhile. Raises IMPORT_ERROR [why], and what an upload would end with."""
    call.db.get("SR", sr)
    done = threading.Condition(call.world.lock)
    outcome: list[list[str] | Fault] = []

    def work() -> None:
        try:
            found: list[str] | Fault = _fetch(call, url, Wanted(sr, full_restore, force))
        except Fault as fault:
            found = fault
        with done:
            outcome.append(found)
            done.notify_all()

    threading.Thread(target=work, name=f"import {url}", daemon=True).start()
    while not outcome:
        done.wait(LOOKS)
    if isinstance(outcome[0], Fault):
        raise outcome[0]
    return outcome[0]


def _fetch(call: Call, url: str, wanted: Wanted) -> list[str]:
    from ..handlers import imports  # the handlers dispatch calls, so they are loaded after what calls do

    context = ssl._create_unverified_context()  # as the host's own downloads: whom it talks to is not looked at
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
            return imports.receive(call, iter(functools.partial(answer.read, PIECE), b""), wanted)
    except urllib.error.HTTPError as e:
        raise Fault("IMPORT_ERROR", f"{e.code} {e.reason}") from e
    except (OSError, ValueError, http.client.HTTPException) as e:
        raise Fault("IMPORT_ERROR", str(e)) from e
