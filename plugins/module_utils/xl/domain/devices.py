# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks, network interfaces and other devices: their specifications, and which of them are the same."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ..spec import Spec
from ..specs import SPECS

Json = t.Mapping[str, t.Any]


def written(name: str, values: t.Any) -> list[str] | None:
    """The devices of a task as the file has them; None for none. Raises InvalidChange."""
    if not isinstance(values, list):
        values = [values]
    spec = SPECS[name]
    return [spec.text(one) if isinstance(one, dict) else checked(spec, str(one)) for one in values] or None


def checked(spec: Spec, text: str) -> str:
    """A specification as somebody wrote it. Raises InvalidChange."""
    spec.parse(text)
    return text


def told(name: str, value: t.Any) -> list[t.Any]:
    """The devices of the file as dictionaries; a text that is not understood as it stands."""
    return [parsed(name, str(one)) for one in (value if isinstance(value, list) else [value])]


def parsed(name: str, text: str) -> t.Any:
    try:
        return SPECS[name].parse(text)
    except InvalidChange:
        return text


def meant(name: str, value: t.Any) -> list[t.Any]:
    """For comparing: with the defaults that xl has."""
    return [SPECS[name].filled(one) if isinstance(one, dict) else one for one in told(name, value)]


def kept(name: str, before: t.Any, after: list[t.Any]) -> list[t.Any]:
    """The list that is to be, with the texts of the file where they say the same."""
    if name not in SPECS or not isinstance(before, list):
        return after
    return [next((old for old in before if meant(name, old) == meant(name, text)), text) for text in after]


def of_json(name: str, device: Json) -> dict[str, t.Any]:
    """A disk or an interface that runs as a dictionary of the module."""
    if name == "vif":
        pairs = {
            "mac": "mac",
            "bridge": "bridge",
            "ip": "ip",
            "script": "script",
            "model": "model",
            "vifname": "ifname",
            "gatewaydev": "gatewaydev",
        }
        return {key: device[json] for key, json in pairs.items() if device.get(json)}
    found: dict[str, t.Any] = {"vdev": device.get("vdev"), "format": device.get("format", "raw")}
    found["access"] = "rw" if device.get("readwrite") else "ro"
    if device.get("is_cdrom"):
        found["devtype"] = "cdrom"
    pairs = {"target": "pdev_path", "script": "script", "backend": "backend_domname"}
    return {**found, **{key: device[json] for key, json in pairs.items() if device.get(json)}}
