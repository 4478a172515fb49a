# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of a domain, and what is there when it asks."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ...errors import InvalidChange, NotFound, XenError
from ..cfg import Cfg
from ..output.host import info
from ..tool import Tool
from . import reading, settings
from .checks import Host
from .files import Place
from .reading import Domain

SAVE_FOLDER = "/var/lib/xen/save"  # as xendomains has it
MOVING = ("--migratedaway", "--incoming")  # behind the name of a domain that migrates (xl_migrate.c), which has its UUID


@dataclasses.dataclass(frozen=True)
class Request:
    """Attributes: name, wanted (keys of the file the task speaks of), base (text that replaces the file's; None: the file's), params."""

    name: str
    wanted: settings.Wanted
    base: Cfg | None
    params: t.Mapping[str, t.Any]

    @property
    def place(self) -> Place:
        return Place(self.params["config_dir"], self.name)

    @property
    def state(self) -> str:
        return str(self.params["state"])

    @property
    def save_path(self) -> str:
        return str(self.params["save_path"] or os.path.join(SAVE_FOLDER, self.name))


def request(params: t.Mapping[str, t.Any]) -> Request:
    """Raises InvalidChange, NotFound for a configuration that is not there."""
    base = None
    if params["config_text"] is not None:
        base = Cfg.parse(params["config_text"], "config_text")
    elif params["config"] is not None:
        gone = params["state"] == "absent" and params["name"] and not os.path.lexists(params["config"])
        base = None if gone else Cfg.read(params["config"])  # its own file, which an earlier run removed
    wanted = settings.given(params)
    name = wanted.get("name") or (str(base.get("name", "")) if base else "")
    if not name:
        raise InvalidChange("The domain has no name.", hint="Give name.")
    if not re.fullmatch(r"[A-Za-z0-9_.+:@%-]+", name) or name.startswith(("-", ".")):
        raise InvalidChange(f"{name!r} cannot be the name of a domain.", hint="Use letters, digits and _.+:@%-")
    if name == "Domain-0" or name.isdigit():
        told = "is the host itself" if name == "Domain-0" else "is taken for the number of a domain by xl"
        raise InvalidChange(f"{name} {told}.", hint="Give another name.")
    return Request(name, {**wanted, "name": name}, base, params)


@dataclasses.dataclass(frozen=True)
class Scene:
    """The domain and its host before the task.

    Attributes: place, before (text of its file; None without one), earlier (the place of its file under another name), domain (as it is;
    None without one), cfg (its file as it is to be; None where the task has nothing to write), host, cut (what a restart that was cut off
    was to bring back: "running", "paused" or "").
    """

    place: Place
    before: str | None
    earlier: Place | None
    domain: Domain | None
    cfg: Cfg | None
    host: Host
    cut: str = ""

    @property
    def uuid(self) -> str:
        return str(self.cfg.get("uuid", "")).lower() if self.cfg else ""


def scene(asked: Request, tool: Tool) -> Scene:
    """Raises XenError."""
    place = asked.place
    before = place.text()
    files = reading.files(place.folder)
    uuid = str(asked.wanted.get("uuid") or (asked.base or files.get(place.path) or Cfg()).get("uuid", "")).lower()
    earlier = None
    if before is None and uuid:
        of_uuid = [path for path, cfg in files.items() if str(cfg.get("uuid", "")).lower() == uuid]
        earlier = Place(place.folder, os.path.basename(of_uuid[0])[: -len(".cfg")]) if len(of_uuid) == 1 else None
    domains = reading.settled(tool, lambda one: one.name == place.name or bool(uuid and one.uuid == uuid))
    moving = next((one.name for one in domains if one.name in [place.name + end for end in MOVING]), "")
    if moving:
        raise InvalidChange(
            f"{moving} is on this host: a migration of {place.name} runs, or was cut off.",
            hint="Wait until it has ended; of one that was cut off domzero.xen.xl_migrate says what to do.",
        )
    by_uuid = [one for one in domains if uuid and one.uuid == uuid]
    by_name = [one for one in domains if one.name == place.name and not (uuid and one.uuid and one.uuid != uuid)]
    mine = next(iter([*by_uuid, *by_name]), None)
    others = [one for one in domains if one is not mine]
    cfg = new_file(asked, place, before, earlier)
    host = Host(info(tool.run("info").out), others, files, autoballoon(), os.path.exists, has_interface)
    return Scene(place, before, earlier, mine, cfg, host, place.cut())


def new_file(asked: Request, place: Place, before: str | None, earlier: Place | None) -> Cfg | None:
    """Its file as it is to be; None where there is none and the task describes none."""
    if asked.base is not None:
        cfg = Cfg.parse(str(asked.base), place.path)
    elif before is not None:
        cfg = Cfg.parse(before, place.path)
    elif earlier is not None:
        cfg = Cfg.parse(earlier.text() or "", place.path)
    elif set(asked.wanted) - {"name"}:
        cfg = Cfg.parse("", place.path)
    else:
        return None
    settings.put(cfg, asked.wanted)
    return cfg


def needs_file(asked: Request) -> NotFound:
    return NotFound(
        f"There is no domain {asked.name}, and no {asked.place.path}.", hint="Describe it in the task, or give config or config_text."
    )


def autoballoon() -> str:
    """xl.conf's: "on", "off" or "auto"."""
    try:
        value = str(Cfg.read("/etc/xen/xl.conf").get("autoballoon", "auto"))
    except XenError:
        return "auto"
    return {"1": "on", "0": "off"}.get(value, value)


def has_interface(name: str) -> bool:
    return os.path.exists(os.path.join("/sys/class/net", name))
