# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host tells of itself and of its domains, and what its files are."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import time
import typing as t

from ...errors import InvalidChange, XenError
from ..cfg import Cfg
from ..output import domains as output
from ..output.host import cpus
from ..tool import Done, Tool, telling
from .live import Vcpu

SAVE_HEAD = 2**20  # the configuration stands at the beginning of a saved state
MAGIC = b"Xen saved domain, xl format"
PATIENCE = 10.0  # seconds a domain may take to be gone that is on its way


@dataclasses.dataclass(frozen=True)
class Domain:
    """A domain of the host. Attributes: domid, name, state (of `xl list`), memory (MiB it has), config (of `xl list -l`)."""

    domid: int
    name: str
    state: str
    memory: int
    config: t.Mapping[str, t.Any]

    @property
    def uuid(self) -> str:
        return str(self.config.get("c_info", {}).get("uuid", "")).lower()


def domains(tool: Tool) -> list[Domain]:
    """All of them, Dom0 too."""
    configs = {one["domid"]: one.get("config", {}) for one in output.configurations(tool.run("list", "-l").out)}
    rows = output.domains(tool.run("list").out)
    return [Domain(one["domid"], one["name"], one["power_state"], one["memory"], configs.get(one["domid"], {})) for one in rows]


def settled(tool: Tool, mine: t.Callable[[Domain], bool], patience: float = PATIENCE) -> list[Domain]:
    """The domains, when mine are not on their way out any more, or have had their time for it."""
    end = time.monotonic() + patience
    while True:
        found = domains(tool)
        if not any(mine(one) and one.state in ("dying", "shutdown") for one in found) or time.monotonic() > end:
            return found
        time.sleep(0.3)


def vcpus(tool: Tool, name: str) -> tuple[Vcpu, ...]:
    rows = output.vcpus(tool.run("vcpu-list", name).out)
    return tuple(Vcpu(one["vcpu"], one["online"], numbers(one["hard"]), numbers(one["soft"])) for one in rows)


def numbers(text: str) -> frozenset[int] | None:
    """ "0-1,3" as numbers; None for "all"."""
    return None if text == "all" else frozenset(cpus(text))


def pool(tool: Tool, name: str) -> str:
    return output.pools_of_domains(tool.run("list", "-c", name).out).get(name, "Pool-0")


def understood(tool: Tool, text: str, where: str) -> tuple[dict[str, t.Any], str]:
    """What xl makes of a file (`xl create -n`), and what it complained of. Raises InvalidChange for what it does not take."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, os.path.basename(where))
        write(path, text, 0o600)
        done = tool.run("create", "-n", path, check=False)
    out, err = (one.replace(path, where) for one in (done.out, done.err))
    if done.status:
        raise InvalidChange(f"xl does not take {where}: {telling(Done(done.status, out, err))}", hint="Nothing was changed.")
    return output.dry_run(out), complaints(err)


def complaints(err: str) -> str:
    """What xl says of a file and passes over."""
    told = [line.strip() for line in err.splitlines()]
    return " ".join(line for line in told if line and not line.startswith(("Parsing config", "got a tsc mode", "libxl: debug")))


def write(path: str, text: str, mode: int) -> None:
    """All of it or nothing; a link stays one, and what it leads to is written."""
    path = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def files(folder: str) -> dict[str, Cfg]:
    """The configurations of a folder by their paths; what is none is passed over."""
    found = {}
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, entry)
        if entry.endswith(".cfg") and os.path.isfile(path):
            try:
                found[path] = Cfg.read(path)
            except XenError:
                continue
    return found


def saved_identity(path: str) -> tuple[str, str] | None:
    """Name and UUID of the domain whose state lies there; None for a file of something else, or none."""
    try:
        with open(path, "rb") as file:
            head = file.read(SAVE_HEAD)
    except OSError:
        return None
    if not head.startswith(MAGIC):
        return None
    found = [re.search(rb'"%s"\s*:\s*"([^"]*)"' % key, head) for key in (b"name", b"uuid")]
    name, uuid = (match[1].decode("utf-8", "replace") if match else "" for match in found)
    return name, uuid.lower()
