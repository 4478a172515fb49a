# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a migration, from where the domain and its file are to where both are to be."""

from __future__ import annotations

import dataclasses
import os
import shlex
import typing as t

from ..step import Step
from ..tool import Tool
from .copies import AWAY, Where
from .ends import End, Ssh


@dataclasses.dataclass(frozen=True)
class Places:
    """The domain's file and its link for autostart, the same at both ends; the file's name here once it has moved."""

    config: str
    auto: str

    @classmethod
    def of(cls, folder: str, name: str) -> Places:
        return cls(os.path.join(folder, f"{name}.cfg"), os.path.join(folder, "auto", f"{name}.cfg"))

    @property
    def moved(self) -> str:
        """xendomains and xl_info take files for domains that end with .cfg."""
        return f"{self.config}.moved"


@dataclasses.dataclass(frozen=True)
class Journey:
    """What is asked for."""

    name: str
    ssh: Ssh
    places: Places
    move_config: bool
    timeout: float
    paused: bool = False


def steps(journey: Journey, found: Where, here: End, there: End, tool: Tool) -> list[Step]:
    """Nothing where the domain, and its file if that moves too, are at the other end."""
    plan: list[Step] = []
    if found.here:
        plan.append(migration(journey))
    if found.there and found.away:  # cut off between the start there and the end here
        away = journey.name + AWAY
        plan.append(Step(("xl", "destroy", away), f"remove the suspended copy {away}, which runs on {journey.ssh.address}"))
    if journey.move_config and here.config is not None:
        plan += file_steps(journey, here, there, tool)
    return plan


def migration(journey: Journey) -> Step:
    options = ["-p"] if journey.paused else []
    argv = ("xl", "migrate", *options, "-s", journey.ssh.rune(), journey.name, journey.ssh.address)
    return Step(argv, f"migrate {journey.name} to {journey.ssh.address}", timeout=journey.timeout, disruptive="moves it to another host")


def file_steps(journey: Journey, here: End, there: End, tool: Tool) -> t.Iterator[Step]:
    """The file is there before it goes here, so that it is never at neither end."""
    places, ssh = journey.places, journey.ssh
    path = shlex.quote(places.config)
    if there.config != here.config:
        keep = f"[ ! -e {path} ] || cp -p {path} {path}.before; " if there.config is not None else ""
        command = f"umask 077; {keep}cat > {path}.new && mv {path}.new {path}"
        text = here.config or ""

        def copy() -> None:
            tool.command(ssh.argv(command), stdin=text)

        yield Step(ssh.argv(command), f"copy {places.config} to {ssh.address}", run=copy)
    if here.autostart and not there.autostart:
        folder, link = shlex.quote(os.path.dirname(places.auto)), shlex.quote(places.auto)
        yield Step(ssh.argv(f"mkdir -p {folder} && ln -sfn {path} {link}"), f"start {journey.name} with {ssh.address}")
    if here.autostart:
        yield Step(("rm", "-f", places.auto), f"no longer start {journey.name} with this host")
    yield Step(("mv", "-f", places.config, places.moved), f"keep {places.config} as {places.moved}")
