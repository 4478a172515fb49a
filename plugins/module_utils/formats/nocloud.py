# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The config drive of cloud-init's data source NoCloud: a volume CIDATA with user-data, meta-data and perhaps network-config.

Format: cloud-init's documentation, "NoCloud" and "User data formats". What is given as a mapping is written as JSON, which is YAML too.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass

from ..errors import InvalidChange
from . import fat, yaml_text

LABEL = "CIDATA"
CLOUD_CONFIG = "#cloud-config"
# what else the first line can be (cloud-init: handlers/__init__.py)
BEGINNINGS = (
    "#!", "#include", "#cloud-boothook", "#part-handler", "#cloud-config-archive", "#cloud-config-jsonp", "## template: jinja",
    "Content-Type: multipart/", "MIME-Version:", "#upstart-job",
)  # fmt: skip
# lists that people write as something else most (cloud-init: cloud-config schema)
LISTS = ("runcmd", "bootcmd", "packages", "write_files", "ssh_authorized_keys", "mounts")
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
Given: t.TypeAlias = "str | t.Mapping[str, t.Any] | None"


@dataclass(frozen=True)
class Config:
    """What a guest is to be told, checked. meta_data: without what follows from the VM."""

    user_data: str
    meta_data: dict[str, t.Any]
    network_config: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what was given: another one means another configuration."""
        given = json.dumps([self.user_data, self.meta_data, self.network_config], sort_keys=True)
        return hashlib.sha256(given.encode()).hexdigest()

    def image(self, uuid: str, name: str) -> bytes:
        """The drive for the VM of that uuid. cloud-init runs anew when the instance-id is another: for another VM or configuration."""
        meta = {"instance-id": f"{uuid}-{self.digest[:12]}", **({"local-hostname": name} if HOSTNAME.fullmatch(name) else {})}
        files = {"user-data": self.user_data, "meta-data": _as_text({**meta, **self.meta_data})}
        if self.network_config:
            files["network-config"] = self.network_config
        return fat.image(LABEL, {name: text.encode() for name, text in files.items()})


def config(user_data: Given, meta_data: Given, network_config: Given, of: str) -> Config:
    """of: "of VM 'web01'", for the message. Raises InvalidChange for what cloud-init would not take; never tells what stands there."""
    return Config(_user_data(user_data, of), _mapping(meta_data, f"meta_data {of}") or {}, _network(network_config, f"network_config {of}"))


def _as_text(value: t.Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _user_data(given: Given, of: str) -> str:
    what = f"user_data {of}"
    if not given:
        return f"{CLOUD_CONFIG}\n{{}}\n"
    if not isinstance(given, str):
        value = _mapping(given, what)
        _refuse_shape(value, what)
        return f"{CLOUD_CONFIG}\n{_as_text(value)}"
    first = given.partition("\n")[0].rstrip()
    if first == CLOUD_CONFIG:
        _refuse_shape(_mapping(given, what), what)
    elif not first.startswith(BEGINNINGS):
        raise InvalidChange(
            f"{what} begins with nothing that cloud-init knows.", hint=f"Its first line has to be {CLOUD_CONFIG} or #!/bin/sh."
        )
    return given if given.endswith("\n") else f"{given}\n"


def _mapping(given: Given, what: str) -> dict[str, t.Any] | None:
    """None for nothing."""
    value = yaml_text.load(given, what) if isinstance(given, str) else given
    if value is not None and not isinstance(value, t.Mapping):
        raise InvalidChange(f"{what} is not a mapping of keys to values.", hint="Check the indentation.")
    return None if value is None else {str(key): _plain(part, what) for key, part in value.items()}


def _plain(value: t.Any, what: str) -> t.Any:
    """YAML knows dates, JSON does not. Raises InvalidChange for what neither writes as text."""
    if isinstance(value, t.Mapping):
        return {str(key): _plain(part, what) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part, what) for part in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise InvalidChange(f"{what} holds a value of type {type(value).__name__}.", hint="Write it as text, in base64 where it is binary.")


def _refuse_shape(value: t.Mapping[str, t.Any] | None, what: str) -> None:
    for key in LISTS:
        if value and value.get(key) is not None and not isinstance(value[key], (list, tuple)):
            raise InvalidChange(f"{what}: {key} has to be a list.")


def _network(given: Given, what: str) -> str:
    value = _mapping(given, what)
    if not value:
        return ""
    inner = value.get("network", value)
    if not isinstance(inner, t.Mapping) or inner.get("version") not in (1, 2):
        raise InvalidChange(f"{what} names no version that cloud-init knows.", hint="Give version: 2 (netplan's form) or version: 1.")
    return given if isinstance(given, str) else _as_text(value)
