# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of a host that are more than a field with its setter. Rules: xen-api, ocaml/xapi/xapi_host.ml."""

from __future__ import annotations

import re
import typing as t

from ... import hosts
from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Plan
from ...refs import Objects, Record
from ...resource import Found

State = dict[str, t.Any]
# xapi writes these keys of other_config itself: the first ones at each start, the others along with a field
VOLATILE = ("agent_start_time", "boot_time")
MIRRORED = {"iscsi_iqn": "iscsi_iqn", "multipathing": "multipathing"}
SYSLOG = "syslog_destination"
PASSWORD = "power_on_password_secret"
LONGEST_SSH = 172800  # seconds
IQN = re.compile(r"iqn\.\d{4}-\d{2}\.[a-z0-9][a-z0-9.:_-]*|eui\.[0-9a-f]{16}|naa\.[0-9a-f]{16}([0-9a-f]{16})?", re.IGNORECASE)
HOSTNAME = re.compile(r"[A-Za-z0-9.-]{1,253}")
# a display is turned on and off by the next boot
SHOWN = ("enabled", "enable_on_reboot")
NEXT_DISPLAY = {
    "enabled": "disable_on_reboot",
    "enable_on_reboot": "disabled",
    "disabled": "enable_on_reboot",
    "disable_on_reboot": "enabled",
}
AFTER_BOOT = {"enable_on_reboot": "enabled", "disable_on_reboot": "disabled"}


def observed(objects: Objects, record: Record) -> State:
    return {
        "other_config": {k: v for k, v in record["other_config"].items() if k not in VOLATILE and MIRRORED.get(k) not in record},
        "logging": dict(record["logging"]),
        SYSLOG: record["logging"].get(SYSLOG, ""),
        "local_cache_sr": objects.label("SR", record["local_cache_sr"]) if "local_cache_sr" in record else None,
        "display": record.get("display"),
        "ssh_enabled": record.get("ssh_enabled"),
        "ssh_auto_mode": record.get("ssh_auto_mode"),
        "ntp_custom_servers": sorted(record["ntp_custom_servers"]) if "ntp_custom_servers" in record else None,
        "ntp_mode": record.get("ntp_mode"),
        "power_on_mode": record["power_on_mode"],
        "power_on_config": {k: v for k, v in record["power_on_config"].items() if not k.endswith("_secret")},
    }


def desired(objects: Objects, before: t.Mapping[str, t.Any], params: Record, label: str) -> State:
    """Raises InvalidChange for what contradicts itself or cannot be."""
    given = {option: params[option] for option in observed_options() if params.get(option) is not None}
    after = {option: given.get(option, before[option]) for option in observed_options()}
    for option in ("other_config", "logging", "power_on_config"):
        after[option] = merged(before[option], given.get(option, {}))
    _refuse_own_keys(given.get("other_config", {}), before)
    after[SYSLOG] = _syslog(after["logging"], given)
    if "local_cache_sr" in given:
        after["local_cache_sr"] = objects.label("SR", objects.resolve("SR", given["local_cache_sr"])) if given["local_cache_sr"] else ""
    if "display" in given and before["display"]:
        same = (given["display"] in SHOWN) == (before["display"] in SHOWN)
        after["display"] = before["display"] if same else NEXT_DISPLAY[before["display"]]
    # turning it on or off by hand ends the automatic mode
    if after["ssh_enabled"] != before["ssh_enabled"] and "ssh_auto_mode" not in given and before["ssh_auto_mode"] is not None:
        after["ssh_auto_mode"] = False
    if "ntp_custom_servers" in given:
        after["ntp_custom_servers"] = sorted(set(given["ntp_custom_servers"]))
    if after["ntp_mode"] == "Custom" and not after["ntp_custom_servers"] and before["ntp_mode"] is not None:
        raise InvalidChange(f"NTP mode Custom of host {label!r} needs servers.", hint="Name them in ntp_custom_servers.")
    if after["power_on_config"] and not after["power_on_mode"] and ("power_on_config" in given or "power_on_mode" in given):
        after["power_on_config"] = {}
    _refuse_values(before, params, label)
    return after


def observed_options() -> tuple[str, ...]:
    return (
        "other_config", "logging", SYSLOG, "local_cache_sr", "display", "ssh_enabled", "ssh_auto_mode", "ntp_custom_servers", "ntp_mode",
        "power_on_mode", "power_on_config",
    )  # fmt: skip


def merged(have: t.Mapping[str, str], want: t.Mapping[t.Any, t.Any]) -> dict[str, str]:
    """Keys of others stay, null removes."""
    return {k: v for k, v in {**have, **text_map(want)}.items() if v is not None}


def _syslog(logging: dict[str, str], given: Record) -> str:
    if SYSLOG not in given:
        return logging.get(SYSLOG, "")
    wanted = t.cast(str, given[SYSLOG])
    if (text_map(given.get("logging", {})).get(SYSLOG, wanted) or "") != wanted:
        raise InvalidChange(f"logging and {SYSLOG} name different destinations.", hint="Give one of them.")
    logging.pop(SYSLOG, None)
    if wanted:
        logging[SYSLOG] = wanted
    return wanted


def _refuse_own_keys(wanted: t.Mapping[str, t.Any], before: t.Mapping[str, t.Any]) -> None:
    for key in wanted:
        if key in VOLATILE:
            raise InvalidChange(f"{key} of other_config is written by the host itself.", hint="Leave it out.")
        if key in MIRRORED and before.get(MIRRORED[key]) is not None:
            raise InvalidChange(f"{key} of other_config follows the option of that name.", hint=f"Set {MIRRORED[key]} instead.")


def _refuse_values(before: t.Mapping[str, t.Any], params: Record, label: str) -> None:
    iqn, name = params.get("iscsi_iqn"), params.get("dom0_hostname")
    if iqn not in (None, before["iscsi_iqn"]) and not IQN.fullmatch(iqn):
        raise InvalidChange(f"{iqn!r} cannot be the iSCSI name of host {label!r}.", hint="Such a name reads iqn.2024-01.com.example:host1.")
    if name not in (None, before["dom0_hostname"]) and not HOSTNAME.fullmatch(name):
        raise InvalidChange(f"{name!r} cannot be a host name.", hint="1 to 253 letters, digits, dots and dashes.")
    for option, most in (("ssh_enabled_timeout", LONGEST_SSH), ("console_idle_timeout", None)):
        value = params.get(option)
        if value is not None and (value < 0 or (most is not None and value > most)):
            raise InvalidChange(f"{option} of host {label!r} is {value} seconds.", hint=f"0 to {most}." if most else "0 or more.")


# planning ---------------------------------------------------------------------------
def plan_changes(plan: Plan, objects: Objects, found: Found, label: str, params: Record, *, in_maintenance: bool) -> None:
    """Raises InvalidChange for what this release lacks."""
    for option in ("display", "ssh_enabled", "ssh_auto_mode", "ntp_mode", "ntp_custom_servers", "local_cache_sr"):
        if plan.before[option] != plan.after[option] and option not in found.record:
            raise InvalidChange(f"{option} of host {label!r} is not known to this host's release.", hint=f"Leave it out: no host.{option}.")
    ref, before, after = found.ref, plan.before, plan.after
    _other_config(plan, ref, label)
    if before["logging"] != after["logging"]:
        plan.add("host.set_logging", ref, after["logging"], what=f"set the logging of host {label!r}")
        plan.add("host.syslog_reconfigure", ref, what=f"let host {label!r} log there")
    _ntp(plan, ref, label)
    if before["ssh_enabled"] != after["ssh_enabled"]:
        word = "enable" if after["ssh_enabled"] else "disable"
        plan.add(f"host.{word}_ssh", ref, what=f"{word} SSH on host {label!r}")
    handed = before["ssh_auto_mode"] if before["ssh_enabled"] == after["ssh_enabled"] else False
    if after["ssh_auto_mode"] is not None and handed != after["ssh_auto_mode"]:
        plan.add("host.set_ssh_auto_mode", ref, after["ssh_auto_mode"], what=f"set ssh_auto_mode of host {label!r}")
    if before["display"] != after["display"]:
        word = "enable" if after["display"] in SHOWN else "disable"
        plan.add(f"host.{word}_display", ref, what=f"{word} the display of host {label!r}")
    if before["local_cache_sr"] != after["local_cache_sr"]:
        _local_cache(plan, objects, found, label, in_maintenance=in_maintenance)
    _power_on(plan, found, label, params)


def _other_config(plan: Plan, ref: str, label: str) -> None:
    """Key by key: the host may be writing its own ones at the same time."""
    have, want = plan.before["other_config"], plan.after["other_config"]
    for key in sorted(key for key in have if have[key] != want.get(key)):
        plan.add("host.remove_from_other_config", ref, key, what=f"remove {key} from other_config of host {label!r}")
    for key in sorted(key for key in want if have.get(key) != want[key]):
        plan.add("host.add_to_other_config", ref, key, want[key], what=f"set {key} in other_config of host {label!r}")


def _ntp(plan: Plan, ref: str, label: str) -> None:
    """Mode Custom must never be without servers."""
    steps = ["ntp_custom_servers", "ntp_mode"]
    for option in steps if plan.after["ntp_custom_servers"] else reversed(steps):
        if plan.before[option] != plan.after[option]:
            plan.add(f"host.set_{option}", ref, plan.after[option], what=f"set {option} of host {label!r}")


def _local_cache(plan: Plan, objects: Objects, found: Found, label: str, *, in_maintenance: bool) -> None:
    if not in_maintenance:
        raise InvalidChange(
            f"local_cache_sr of host {label!r} changes only in maintenance.", hint="Set enabled: false as well.", code="HOST_NOT_DISABLED"
        )
    if not plan.after["local_cache_sr"]:
        plan.add("host.disable_local_storage_caching", found.ref, what=f"turn off the local cache of host {label!r}")
        return
    sr = objects.resolve("SR", plan.after["local_cache_sr"])
    record = objects.get("SR", sr)
    attached = [pbd for pbd in objects.all("PBD").values() if pbd["SR"] == sr and pbd["host"] == found.ref and pbd["currently_attached"]]
    if record["shared"] or not attached:
        raise InvalidChange(
            f"SR {plan.after['local_cache_sr']!r} cannot be the local cache of host {label!r}: it is not a local SR attached there.",
            hint="Name one of: " + ", ".join(objects.label("SR", ref) for ref in hosts.local_srs(objects, found.ref)) + ".",
        )
    plan.add("host.enable_local_storage_caching", found.ref, sr, what=f"turn on the local cache of host {label!r}")


def _power_on(plan: Plan, found: Found, label: str, params: Record) -> None:
    """The password is a secret of the pool; XenAPI does not give it back, so it is written only with something else, or on demand."""
    old = {k: v for k, v in found.record["power_on_config"].items() if k.endswith("_secret")}
    mode, config = plan.after["power_on_mode"], plan.after["power_on_config"]
    changed = any(plan.before[option] != plan.after[option] for option in ("power_on_mode", "power_on_config"))
    password = params.get("power_on_password")
    if password and not mode:
        raise InvalidChange(f"Host {label!r} has no power_on_mode to use power_on_password with.", hint="Set power_on_mode.")
    writes = bool(password) and (changed or PASSWORD not in old or params.get("update_password") == "always")
    if not (changed or writes):
        return
    secrets: dict[str, t.Any] = old if mode else {}
    if writes:
        made = plan.add("secret.create", {"value": password, "other_config": {}}, what=f"keep the power-on password of host {label!r}")
        secrets = {**secrets, PASSWORD: plan.add("secret.get_uuid", made)}
    what = f"set how host {label!r} is switched on"
    plan.add("host.set_power_on_mode", found.ref, mode, {**config, **secrets}, what=what)


def known_time_zone(objects: Objects, found: Found, wanted: str, label: str) -> None:
    """Raises InvalidChange for a zone the host does not know."""
    names = objects.session.call("host.list_timezones", found.ref)
    if wanted not in names:
        near = [name for name in names if wanted.rpartition("/")[2].lower() in name.lower()][:5]
        told = f"Perhaps: {', '.join(near)}." if near else "Such a name reads Europe/Berlin."
        raise InvalidChange(f"Host {label!r} does not know the time zone {wanted!r}.", hint=told)
