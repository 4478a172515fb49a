# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The updates part of a site, and how quickly guests move."""

from __future__ import annotations

import re
import typing as t

from . import releases
from .site_reader import Reader, SiteError
from .traffic import Motion
from .updates import GUIDANCES, UPDATES_REPOSITORY, Catalogue, Channel, File, Installer, Package, Update

WORDS = (
    "RebootHost", "RestartToolstack", "RestartDeviceModel", "RestartVM", "EvacuateHost", "RebootHostOnLivePatchFailure",
    "RebootHostOnKernelLivePatchFailure", "RebootHostOnXenLivePatchFailure",
)  # fmt: skip
AFTER_APPLY = ("restartHVM", "restartPV", "restartHost", "restartXAPI")
LIVEPATCH = ("ok", "ok_livepatch_complete", "ok_livepatch_incomplete")


def catalogue(r: Reader) -> Catalogue:
    """The ``updates`` of a site."""
    files = r.each("files", _file)
    return Catalogue(r.each("packages", _package), r.each("repositories", _channel), files, r.each("installers", _installer))


def motion(r: Reader) -> Motion:
    """The ``motion`` of a site: gib_per_minute, stream_gib_per_minute, setup_seconds, dirty, at_once."""
    plain = Motion()
    return Motion(
        _decimal(r, "gib_per_minute", plain.host), _decimal(r, "stream_gib_per_minute", plain.stream),
        _decimal(r, "setup_seconds", plain.setup), _decimal(r, "dirty", plain.dirty), r.number("at_once", plain.at_once),
    )  # fmt: skip


def _decimal(r: Reader, key: str, default: float) -> float:
    text = r.text(key, str(default))
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise SiteError(r.at(key), f"{text!r} is no number")
    return float(text)


def _mapping(r: Reader, key: str) -> dict[str, str]:
    found = r.raw(key, {})
    if not isinstance(found, dict):
        raise SiteError(r.at(key), f"a mapping is needed here, not {found!r}")
    return {str(name): str(value) for name, value in found.items()}


def _known(r: Reader, key: str, words: t.Sequence[str]) -> list[str]:
    found = r.texts(key)
    for word in found:
        if word not in words:
            raise SiteError(r.at(key), f"no guidance {word!r} (known: {', '.join(words)})")
    return found


def _package(r: Reader) -> Package:
    changelog = _mapping(r, "changelog") if r.raw("changelog") is not None else None
    return Package(
        r.text("name"), r.text("version"), r.text("release"), installed=r.text("installed", ""), repo=r.text("repo", UPDATES_REPOSITORY),
        description=r.text("description", ""), url=r.text("url", ""), size=r.size("size", "1MiB"), license=r.text("license", "GPL"),
        changelog=changelog, product=r.text("product", ""), hosts=r.texts("hosts"), software=_mapping(r, "software_version"),
    )  # fmt: skip


def _channel(r: Reader) -> Channel:
    return Channel(r.text("url"), r.each("updates", _update))


def _update(r: Reader) -> Update:
    plain, name = Update(""), r.text("id")
    guidance = r.inside("guidance", lambda g: {urgency: _known(g, urgency, WORDS) for urgency in GUIDANCES})
    livepatches = r.each("livepatches", lambda x: {**{k: x.text(k) for k in ("component", "base", "to")}, "fails": x.flag("fails", False)})
    return Update(
        name, summary=r.text("summary", name), description=r.text("description", ""), special_info=r.text("special_info", ""),
        url=r.text("url", ""), type=r.text("type", plain.type), issued=r.text("issued", plain.issued), title=r.text("title", name),
        severity=r.text("severity", plain.severity), guidance=guidance, packages=r.texts("packages"), livepatches=livepatches,
        hosts=r.texts("hosts"), software=_mapping(r, "software_version"),
    )  # fmt: skip


def _file(r: Reader) -> File:
    return File(
        r.text("uuid"), r.text("name"), version=r.text("version", "1.0"), description=r.text("description", ""),
        size=r.size("size", "50MiB"), key=r.text("key", ""), iso=r.text("iso", ""),
        guidance=_known(r, "guidance", AFTER_APPLY), requires=r.texts("requires"),
        enforce_homogeneity=r.flag("enforce_homogeneity", False), livepatch=r.choice("livepatch", "ok", LIVEPATCH, "answer of a precheck"),
        software=_mapping(r, "software_version"),
    )  # fmt: skip


def _installer(r: Reader) -> Installer:
    return Installer(r.text("url"), r.choice("release", ..., releases.names(), "release"), _mapping(r, "software_version"))
