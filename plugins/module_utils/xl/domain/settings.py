# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of a task to the file of a domain, and from the file (or what runs) to the same vocabulary."""

from __future__ import annotations

import difflib
import typing as t

from ...errors import InvalidChange
from ..cfg import Cfg
from . import devices
from .meaning import running_options
from .options import Option
from .table import TABLE

OPTIONS = {"name": Option("name", "str", "c_info/name", change="rename"), **{option.name: option for option in TABLE}}
# Keys that xl reads and that are no options: deprecated ones, and those of schedulers for real time.
OTHER_KEYS = frozenset(
    (
        *("builder", "device_model", "firmware_override", "vncviewer", "vif2", "nr_spis", "llc_colors", "trap_unmapped_accesses"),
        *("period", "slice", "latency", "extratime", "budget", "colo_checkpoint_host", "colo_checkpoint_port"),
    )
)
Wanted = dict[str, t.Any]  # a key of the file and its value there; None where it is to go


def arguments() -> dict[str, dict[str, t.Any]]:
    """The options of a domain as argument_spec has them, without its name."""
    return {option.name: option.argument() for option in TABLE}


def given(params: t.Mapping[str, t.Any]) -> Wanted:
    """What the task says of keys. Raises InvalidChange."""
    wanted: Wanted = {}
    for name, option in OPTIONS.items():
        value = params.get(name)
        if value is None:
            continue
        wanted[name] = devices.written(name, value) if option.type == "devices" else option.written(value)
    for key, value in (params.get("extra_config") or {}).items():
        wanted[key] = extra(key, value)
    return wanted


def extra(key: str, value: t.Any) -> t.Any:
    """A key of extra_config. Raises InvalidChange for one that has an option, and for one that looks misspelt."""
    if value is None or value == "" or value == []:
        return None
    if key in OPTIONS:
        raise InvalidChange(f"extra_config: {key} is an option of its own.", hint=f"Give it as {key}, beside extra_config.")
    close = looks_like(key)
    if close:
        raise InvalidChange(f"extra_config: xl does not know the key {key}.", hint=f"Did you mean {close}?")
    if isinstance(value, bool):
        return int(value)
    return Option(key, "words", "").written(value) if not isinstance(value, int) else value


def looks_like(key: str) -> str:
    """The key that was meant with one that xl does not know; empty where it knows it, or none is near."""
    known = [*OPTIONS, *OTHER_KEYS]
    return "" if key in known else next(iter(difflib.get_close_matches(key, known, 1, 0.8)), "")


def unknown_keys(cfg: Cfg) -> list[str]:
    """A sentence for each key that xl passes over in silence."""
    told = []
    for key in tuple(cfg.keys()):
        if key not in OPTIONS and key not in OTHER_KEYS:
            close = looks_like(key)
            told.append(f"{cfg.where}: xl is not known to read the key {key}." + (f" Did you mean {close}?" if close else ""))
    return told


def value_told(name: str, value: t.Any) -> t.Any:
    """A value of the file in the vocabulary of the module."""
    option = OPTIONS.get(name)
    if option is None:
        return value
    return devices.told(name, value) if option.type == "devices" else option.told(value)


def meant(name: str, value: t.Any) -> t.Any:
    """A value for comparing."""
    option = OPTIONS.get(name)
    return devices.meant(name, value) if option and option.type == "devices" else value_told(name, value)


def put(cfg: Cfg, wanted: Wanted) -> None:
    """Write into the file what it does not say already; whatever says the same is left as it stands."""
    for key, value in wanted.items():
        if value is None:
            if key in cfg:
                cfg.remove(key)
        elif key not in cfg or meant(key, cfg.get(key)) != meant(key, value):
            cfg.set(key, devices.kept(key, cfg.get(key), value) if isinstance(value, list) and key in cfg else value)


def secrets(cfg: Cfg | None) -> list[str]:
    """The passwords that a configuration has."""
    if cfg is None:
        return []
    displays = devices.told("vfb", cfg.get("vfb")) if "vfb" in cfg else []
    found = [cfg.get(key) for key, option in OPTIONS.items() if option.secret and key in cfg]
    return [str(one) for one in [*found, *(one.get("vncpasswd") for one in displays if isinstance(one, dict))] if one]


def told(cfg: Cfg | None, running: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """A domain in the vocabulary of the module, without secrets.

    From its file, where it has one, so that it can be handed back and changes nothing; else from what runs (`config` of `xl list -l`).
    """
    if cfg is None:
        return running_options(running or {})
    result = {key: value_told(key, cfg.get(key)) for key in OPTIONS if key in cfg and not OPTIONS[key].secret}
    if any(isinstance(one, dict) and "vncpasswd" in one for one in result.get("vfb", [])):
        del result["vfb"]  # without its password it could not be handed back
    more = {key: cfg.get(key) for key in tuple(cfg.keys()) if key not in OPTIONS}
    return {**result, **({"extra_config": more} if more else {})}
