# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of a Dom0: /etc/xen/xl.conf (xl.conf(5)) and /etc/default/xendomains (Debian's /etc/init.d/xendomains)."""

from __future__ import annotations

import re
import shlex
import typing as t

from ...errors import InvalidChange
from ..cfg import Cfg
from ..grammar import Value

Given = t.Mapping[str, t.Any]
CPUS = re.compile(r"(all|\^?(nodes?:)?\d+(-\d+)?)(,\^?(nodes?:)?\d+(-\d+)?)*")
# what each is: a choice, or the name of a kind
XL_CONF: dict[str, str | tuple[str, ...]] = {
    "domid_policy": ("xen", "random"),
    "autoballoon": ("auto", "on", "off"),
    "run_hotplug_scripts": "bool",
    "lockfile": "path",
    "max_grant_frames": "number",
    "max_maptrack_frames": "number",
    "max_grant_version": "number",
    "vif.default.script": "text",
    "vif.default.bridge": "text",
    "vif.default.backend": "text",
    "vif.default.gatewaydev": "text",
    "remus.default.netbufscript": "text",
    "colo.default.proxyscript": "text",
    "output_format": ("json", "sxp"),
    "blkdev_start": "text",
    "claim_mode": "bool",
    "vm.cpumask": "cpus",
    "vm.hvm.cpumask": "cpus",
    "vm.pv.cpumask": "cpus",
}
XENDOMAINS = {
    "save": "XENDOMAINS_SAVE",
    "restore": "XENDOMAINS_RESTORE",
    "auto": "XENDOMAINS_AUTO",
    "migrate": "XENDOMAINS_MIGRATE",
    "stop_timeout": "XENDOMAINS_STOP_MAXWAIT",
}


def checked_settings(given: Given) -> dict[str, Value | None]:
    """As they stand in xl.conf; None for one that is to go. Raises InvalidChange for what xl would not take."""
    return {name: _setting(name, value) for name, value in given.items()}


def _setting(name: str, value: t.Any) -> Value | None:
    kind = XL_CONF.get(name)
    if kind is None:
        raise InvalidChange(f"xl.conf has no setting {name}.", hint=f"There are {', '.join(XL_CONF)}.")
    if value is None or value == "":
        return None
    if isinstance(kind, tuple):
        # YAML takes on and off for truth values
        text = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        if text not in kind:
            raise InvalidChange(f"{name} of xl.conf cannot be {text!r}.", hint=f"Give one of {', '.join(kind)}.")
        return text
    if kind == "bool":
        return int(_truth(name, value))
    if kind == "number":
        if isinstance(value, bool) or not str(value).isdigit():
            raise InvalidChange(f"{name} of xl.conf cannot be {value!r}.", hint="Give a number.")
        return int(value)
    return _text(name, kind, value)


def _text(name: str, kind: str, value: t.Any) -> str:
    text = str(value)
    hint = ""
    if isinstance(value, (bool, list, dict)) or re.search(r'["\n]', text):
        hint = "Give a text without quotation marks."
    elif kind == "path" and not text.startswith("/"):
        hint = "Give the whole path."
    elif kind == "cpus" and not CPUS.fullmatch(text):
        hint = "Give processors as in 0-3,^1."
    if hint:
        raise InvalidChange(f"{name} of xl.conf cannot be {value!r}.", hint=hint)
    return text


def _truth(name: str, value: t.Any) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if str(value).lower() not in known:
        raise InvalidChange(f"{name} cannot be {value!r}.", hint="Give true or false.")
    return known[str(value).lower()]


def with_settings(text: str, wanted: t.Mapping[str, Value | None], where: str) -> str:
    """xl.conf with these settings. Comments and the rest stay. Raises InvalidChange for a file that xl could not read."""
    cfg = Cfg.parse(text, where)
    for name, value in wanted.items():
        if value is None:
            cfg.remove(name)
        else:
            cfg.set(name, value)
    return str(cfg)


def settings_in(text: str, where: str) -> dict[str, Value]:
    """What the file says."""
    cfg = Cfg.parse(text, where)
    return {name: value for name, value in ((key, cfg.get(key)) for key in sorted(cfg.keys())) if value is not None}


def checked_xendomains(given: Given) -> dict[str, str]:
    """The variables of /etc/default/xendomains. Raises InvalidChange for what its script would take for something else."""
    told = {}
    for name, value in given.items():
        if name not in XENDOMAINS:
            raise InvalidChange(f"xendomains has no setting {name}.", hint=f"There are {', '.join(XENDOMAINS)}.")
        if value is not None:
            told[XENDOMAINS[name]] = _of_xendomains(name, value)
    return told


def _of_xendomains(name: str, value: t.Any) -> str:
    if name == "restore":
        # the script asks only whether there is anything: false would be as good as true
        return "true" if _truth("restore of xendomains", value) else ""
    text = str(value)
    if name == "stop_timeout":
        if isinstance(value, bool) or not re.fullmatch(r"[1-9]\d*", text):
            raise InvalidChange(f"stop_timeout of xendomains cannot be {value!r}.", hint="Give seconds, 1 or more.")
        return text
    if "\n" in text or (name in ("save", "auto") and text and not text.startswith("/")):
        raise InvalidChange(f"{name} of xendomains cannot be {value!r}.", hint="Give the whole path of a folder, or nothing.")
    return text


def told_xendomains(text: str) -> dict[str, str | bool | int]:
    """What such a file says, in the words of the options; without what it does not say."""
    variables = variables_in(text)
    said = {name: variables[variable] for name, variable in XENDOMAINS.items() if variable in variables}
    told: dict[str, str | bool | int] = {**said}
    if "restore" in said:
        told["restore"] = bool(said["restore"])
    if said.get("stop_timeout", "").isdigit():
        told["stop_timeout"] = int(said["stop_timeout"])
    return told


def with_variables(text: str, wanted: t.Mapping[str, str]) -> str:
    """A file of shell variables with these. Comments and the rest stay."""
    for name, value in wanted.items():
        if variables_in(text).get(name) == value:
            continue
        line = f"{name}={shlex.quote(value) if value else ''}"
        places = list(_assignments(text, name))
        if places:
            begin, end = places[-1].span()
            text = text[:begin] + line + text[end:]
        else:
            text = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
    return text


def variables_in(text: str) -> dict[str, str]:
    """The variables a shell that reads it has then; one that is composed of others as it is written."""
    found = {}
    for match in re.finditer(r"^[ \t]*(\w+)=(.*)$", text, re.MULTILINE):
        try:
            words = shlex.split(match[2], comments=True)
        except ValueError:
            words = [match[2]]
        found[match[1]] = words[0] if words else ""
    return found


def _assignments(text: str, name: str) -> t.Iterator[re.Match[str]]:
    return re.finditer(rf"^[ \t]*{name}=.*$", text, re.MULTILINE)
