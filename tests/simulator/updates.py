# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts could be brought up to: packages (XCP-ng), updates of a repository (XenServer 8), update files (before it), installers."""

from __future__ import annotations

import typing as t
import zlib
from dataclasses import asdict, dataclass, field

if t.TYPE_CHECKING:
    from .world import Machine, World

GUIDANCES = ("mandatory", "recommended", "full", "livepatch")
INSTALLED = "installed"  # in Machine.state: package -> version-release
BUSY = "updater"  # in Machine.state: what XCP-ng's updater does now
APPLIED = "applied_updates"  # in Machine.state: ids of a repository's updates
UPDATES_REPOSITORY = "xcp-ng-updates"


@dataclass(frozen=True)
class Package:
    """A package in the version the repository offers; ``installed`` is the one hosts have.

    ``product``: the release it is for, any if empty. ``software``: keys of software_version it changes.
    """

    name: str
    version: str
    release: str
    installed: str = ""
    repo: str = UPDATES_REPOSITORY
    description: str = ""
    url: str = ""
    size: int = 0
    license: str = "GPL"
    changelog: dict[str, t.Any] | None = None
    product: str = ""
    hosts: list[str] = field(default_factory=list)
    software: dict[str, str] = field(default_factory=dict)

    @property
    def offered(self) -> str:
        """Version and release."""
        return f"{self.version}-{self.release}"


@dataclass(frozen=True)
class Update:
    """An update of a repository; ``guidance`` by urgency. A live patch that ``fails`` does so on every host."""

    id: str
    summary: str = ""
    description: str = ""
    special_info: str = ""
    url: str = ""
    type: str = "security"
    issued: str = "2026-10-01T00:00:00Z"
    severity: str = "High"
    title: str = ""
    guidance: dict[str, list[str]] = field(default_factory=dict)
    packages: list[str] = field(default_factory=list)
    livepatches: list[dict[str, t.Any]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    software: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Channel:
    """The updates behind an address."""

    url: str
    updates: list[Update] = field(default_factory=list)


@dataclass(frozen=True)
class File:
    """An update file: the ISO of that name in a library, or the image its bytes are (update_files.py)."""

    uuid: str
    name: str
    version: str = "1.0"
    description: str = ""
    size: int = 0
    key: str = ""
    iso: str = ""
    guidance: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    enforce_homogeneity: bool = False
    livepatch: str = "ok"
    software: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Installer:
    """An installation medium unpacked on a web server."""

    url: str
    release: str
    software: dict[str, str] = field(default_factory=dict)


@dataclass
class Catalogue:
    """Everything a site offers."""

    packages: list[Package] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    installers: list[Installer] = field(default_factory=list)

    def dump(self) -> dict[str, t.Any]:
        """As JSON takes it."""
        return asdict(self)

    def channel(self, url: str) -> Channel | None:
        """What is behind an address."""
        return next((channel for channel in self.channels if channel.url.rstrip("/") == url.rstrip("/")), None)

    def installer(self, url: str) -> Installer | None:
        """The medium at an address."""
        return next((one for one in self.installers if one.url.rstrip("/") == url.rstrip("/")), None)


def restore(saved: t.Mapping[str, t.Any]) -> Catalogue:
    """The inverse of ``Catalogue.dump``."""
    channels = [Channel(one["url"], [Update(**update) for update in one["updates"]]) for one in saved["channels"]]
    files, installers = [File(**one) for one in saved["files"]], [Installer(**one) for one in saved["installers"]]
    return Catalogue([Package(**one) for one in saved["packages"]], channels, files, installers)


def concerns(machine: Machine, names: t.Collection[str]) -> bool:
    """Whether something is for this host; without names it is for all."""
    return not names or machine.name in names


def installed(machine: Machine, package: Package) -> str:
    """Version and release the host has of a package; one the host needs nothing of is there as it is offered."""
    held: dict[str, str] = machine.state.get(INSTALLED, {})
    return held.get(package.name, package.installed if concerns(machine, package.hosts) else package.offered)


def missing_packages(machine: Machine, repos: t.Collection[str]) -> list[Package]:
    """What these repositories offer in a newer version than the host has."""
    mine = ("", machine.product.get("name"))
    offered = (package for package in machine.world.updates.packages if package.repo in repos and package.product in mine)
    return [package for package in offered if (held := installed(machine, package)) and held != package.offered]


def missing_updates(machine: Machine, channels: t.Iterable[Channel]) -> list[Update]:
    """The updates of repositories the host has not applied."""
    applied = machine.state.get(APPLIED, [])
    return [one for channel in channels for one in channel.updates if concerns(machine, one.hosts) and one.id not in applied]


def hash_of(world: World, url: str) -> str:
    """What identifies the state of a repository."""
    text = repr(world.updates.channel(url)).encode()
    return "".join(f"{zlib.crc32(text, start):08x}" for start in range(8))
